"""Divide the pairs into training, validation and test by THINGS concept."""

import pandas as pd

from brain2image.files import write_parquet
from brain2image.jobs import job
from brain2image.splits import SPLITS, split_pairs

with job(snakemake):
    pairs = pd.read_parquet(snakemake.input.pairs)
    concepts = pd.read_parquet(snakemake.input.things_images).set_index("image")["concept"]
    pairs["split"] = split_pairs(
        concepts[pairs["things_image"]],
        fractions={split: snakemake.params.split[split] for split in SPLITS},
        seed=snakemake.params.split["seed"],
    )
    write_parquet(snakemake.output.pairs, pairs)
