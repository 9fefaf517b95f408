"""Label the pairs by K-means on the embeddings of the training pairs."""

import numpy as np
import pandas as pd

from brain2image.clustering import cluster_pairs
from brain2image.files import write_parquet
from brain2image.jobs import job

with job(snakemake):
    pairs = pd.read_parquet(snakemake.input.pairs)
    nsd_rows = pd.read_parquet(snakemake.input.nsd_images)["image"].searchsorted(pairs["nsd_image"])
    labels = cluster_pairs(
        np.load(snakemake.input.things_embeddings)[pairs["things_image"]],
        np.load(snakemake.input.nsd_embeddings)[nsd_rows],
        (pairs["split"] == "train").to_numpy(),
        **snakemake.params.clustering,
    )
    pairs.insert(pairs.columns.get_loc("split"), "cluster", labels)
    write_parquet(snakemake.output.pairs, pairs)
