"""Divide the pairs into training, validation and test."""

import pandas as pd

from brain2image.files import write_parquet
from brain2image.jobs import job
from brain2image.splits import split_pairs

with job(snakemake):
    tables = [
        pd.read_parquet(path)
        for path in (snakemake.input.pairs, snakemake.input.things_images, snakemake.input.nsd_images)
    ]
    write_parquet(snakemake.output.pairs, split_pairs(*tables, **snakemake.params.split))
