"""Draw test queries with the pictures that were retrieved for them."""

import numpy as np

from brain2image.core.jobs import job
from brain2image.core.outputs import atomic_path
from brain2image.datasets.nsd import nsd_images as nsd
from brain2image.datasets.things_eeg2 import things_images as things
from brain2image.evaluation.metrics import ranks, similarity_matrix
from brain2image.evaluation.predictions import read_predictions
from brain2image.formats.tables import find_rows, read_table
from brain2image.report.figures.retrieved_pictures import choose_queries, plot_gallery
from brain2image.report.figures.style import save

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    content = read_predictions(snakemake.input.predictions)
    similarity = similarity_matrix(
        content.predictions - content.target_mean, content.targets - content.target_mean
    )
    roots = snakemake.params.roots
    tables = {}
    for name, wanted in (("things", content.eeg_image), ("nsd", content.fmri_image)):
        images = read_table(snakemake.input[f"{name}_images"], ["image"])
        rows = find_rows(images["image"], wanted, source=snakemake.input[f"{name}_images"])
        tables[name] = images.iloc[rows]
    seen = list(things.read_images(tables["things"], roots["things"]))
    gallery = list(nsd.read_images(tables["nsd"], roots["nsd"]))
    queries = choose_queries(similarity, np.diag(ranks(similarity)), 3)
    save(plot_gallery(queries, seen, gallery), path)
