"""Draw test queries with the pictures that were retrieved for them."""

from brain2image.core.jobs import job
from brain2image.datasets.picture_sets import open_picture_sets
from brain2image.evaluation.predictions import read_predictions
from brain2image.report.figures.retrieved_pictures import plot_gallery
from brain2image.report.figures.style import save

with job(snakemake):
    figure = plot_gallery(
        read_predictions(snakemake.input.predictions),
        open_picture_sets(
            [snakemake.input.eeg_pictures, snakemake.input.fmri_pictures], snakemake.params.pictures
        ),
    )
    save(figure, snakemake.output.figure)
