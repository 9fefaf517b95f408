"""Draw the map of the pairs and their clusters."""

from brain2image.core.jobs import job
from brain2image.datasets.picture_sets import open_picture_sets
from brain2image.formats.tables import read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.report.figures.pair_pictures import plot_clusters
from brain2image.report.figures.style import save

with job(snakemake):
    figure = plot_clusters(
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "cluster", "split"]),
        read_embeddings(snakemake.input.eeg_embeddings),
        read_embeddings(snakemake.input.fmri_embeddings),
        open_picture_sets(
            [snakemake.input.eeg_pictures, snakemake.input.fmri_pictures], snakemake.params.pictures
        ),
    )
    save(figure, snakemake.output.figure)
