"""Draw example picture pairs: the best, the middle and the last."""

from brain2image.core.jobs import job
from brain2image.datasets.picture_sets import open_picture_sets
from brain2image.formats.tables import read_table
from brain2image.report.figures.pair_pictures import plot_pairs
from brain2image.report.figures.style import save

with job(snakemake):
    figure = plot_pairs(
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "similarity"]),
        open_picture_sets(
            [snakemake.input.eeg_pictures, snakemake.input.fmri_pictures], snakemake.params.pictures
        ),
        n=6,
    )
    save(figure, snakemake.output.figure)
