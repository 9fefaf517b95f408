"""Match THINGS pictures one-to-one with the NSD pictures that the fMRI subjects saw."""

import numpy as np
import pandas as pd

from brain2image.files import write_parquet
from brain2image.hdf5 import open_hdf5, read_trials
from brain2image.jobs import job
from brain2image.matching import match_images

with job(snakemake):
    seen = set()
    for path in snakemake.input.betas:
        with open_hdf5(path) as betas:
            seen.update(read_trials(betas)["image"])
    pairs = match_images(
        pd.read_parquet(snakemake.input.things_images),
        pd.read_parquet(snakemake.input.nsd_images),
        np.load(snakemake.input.things_embeddings),
        np.load(snakemake.input.nsd_embeddings),
        seen=np.array(sorted(seen)),
        **snakemake.params.matching,
    )
    write_parquet(snakemake.output.pairs, pairs)
