"""Divide the pairs into training, validation and test."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_parquet
from brain2image.formats.tables import read_table
from brain2image.pairs.splits import split_pairs

with job(snakemake):
    tables = [
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "similarity"]),
        read_table(snakemake.input.things_images, ["image", "concept"]),
        read_table(snakemake.input.nsd_images, ["image", "shared1000"]),
    ]
    write_parquet(snakemake.output.pairs, split_pairs(*tables, **snakemake.params.split))
