"""Shrink the pictures of the validation pairs, which TensorBoard shows."""

from brain2image.core.jobs import job
from brain2image.datasets.picture_sets import open_picture_sets
from brain2image.formats.files import write_parquet
from brain2image.formats.tables import read_table
from brain2image.pairs.thumbnails import shrink_pictures

with job(snakemake):
    thumbnails = shrink_pictures(
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "split"]),
        open_picture_sets(
            [snakemake.input.eeg_pictures, snakemake.input.fmri_pictures], snakemake.params.pictures
        ),
    )
    write_parquet(snakemake.output.thumbnails, thumbnails)
