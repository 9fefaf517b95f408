"""Divide the pairs into training, validation and test."""

from brain2image.files import write_parquet
from brain2image.jobs import job
from brain2image.splits import split_pairs
from brain2image.tables import read_table

with job(snakemake):
    tables = [
        read_table(snakemake.input.pairs, ["things_image", "nsd_image", "similarity"]),
        read_table(snakemake.input.things_images, ["image", "concept"]),
        read_table(snakemake.input.nsd_images, ["image", "shared1000"]),
    ]
    write_parquet(snakemake.output.pairs, split_pairs(*tables, **snakemake.params.split))
