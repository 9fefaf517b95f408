"""Draw the map of the pairs and their clusters."""

import numpy as np
import pandas as pd

from brain2image.figures.pairs import plot_clusters
from brain2image.figures.style import save
from brain2image.files import atomic_path
from brain2image.jobs import job

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    pairs = pd.read_parquet(snakemake.input.pairs)
    nsd_rows = pd.read_parquet(snakemake.input.nsd_images)["image"].searchsorted(pairs["nsd_image"])
    figure = plot_clusters(
        pairs,
        np.load(snakemake.input.things_embeddings)[pairs["things_image"]],
        np.load(snakemake.input.nsd_embeddings)[nsd_rows],
    )
    save(figure, path)
