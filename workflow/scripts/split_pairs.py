"""Divide the pairs into training, validation and test."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_parquet
from brain2image.formats.tables import read_table
from brain2image.pairs.splits import split_pairs

with job(snakemake):
    pairs = split_pairs(
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "similarity"]),
        read_table(snakemake.input.eeg_pictures, ["image", "concept"]),
        read_table(snakemake.input.fmri_pictures, ["image", "shared1000"]),
        **snakemake.params.split,
    )
    write_parquet(snakemake.output.pairs, pairs)
