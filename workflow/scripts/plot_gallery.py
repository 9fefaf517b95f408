"""Draw test queries with the pictures that were retrieved for them."""

import numpy as np
import pandas as pd

from brain2image import nsd, things
from brain2image.figures.gallery import choose_queries, plot_gallery
from brain2image.figures.style import save
from brain2image.files import atomic_path
from brain2image.jobs import job
from brain2image.metrics import ranks, similarity_matrix
from brain2image.predictions import read_predictions

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    content = read_predictions(snakemake.input.predictions)
    similarity = similarity_matrix(
        content.predictions - content.target_mean, content.targets - content.target_mean
    )
    things_table = pd.read_parquet(snakemake.input.things_images).set_index("image", drop=False)
    nsd_table = pd.read_parquet(snakemake.input.nsd_images).set_index("image", drop=False)
    roots = snakemake.params.roots
    seen = list(things.read_images(things_table.loc[content.things_image], roots["things"]))
    gallery = list(nsd.read_images(nsd_table.loc[content.nsd_image], roots["nsd"]))
    queries = choose_queries(similarity, np.diag(ranks(similarity)), 3)
    save(plot_gallery(queries, seen, gallery), path)
