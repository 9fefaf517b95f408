"""Draw test queries with the pictures that were retrieved for them."""

import numpy as np

from brain2image import nsd, things
from brain2image.figures.gallery import choose_queries, plot_gallery
from brain2image.figures.style import save
from brain2image.files import atomic_path
from brain2image.jobs import job
from brain2image.metrics import ranks, similarity_matrix
from brain2image.predictions import read_predictions
from brain2image.tables import find_rows, read_table

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    content = read_predictions(snakemake.input.predictions)
    similarity = similarity_matrix(
        content.predictions - content.target_mean, content.targets - content.target_mean
    )
    roots = snakemake.params.roots
    tables = {}
    for name, wanted in (("things", content.things_image), ("nsd", content.nsd_image)):
        images = read_table(snakemake.input[f"{name}_images"], ["image"])
        rows = find_rows(images["image"], wanted, source=snakemake.input[f"{name}_images"])
        tables[name] = images.iloc[rows]
    seen = list(things.read_images(tables["things"], roots["things"]))
    gallery = list(nsd.read_images(tables["nsd"], roots["nsd"]))
    queries = choose_queries(similarity, np.diag(ranks(similarity)), 3)
    save(plot_gallery(queries, seen, gallery), path)
