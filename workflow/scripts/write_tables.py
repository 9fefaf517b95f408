"""Write the pages of one pair of brains: scores, ceilings, leak audit."""

import pandas as pd

from brain2image.files import atomic_path, read_json
from brain2image.jobs import job
from brain2image.pages.audit import audit_page
from brain2image.pages.scores import ceilings_page, scores_page

with job(snakemake):
    pair = snakemake.params.pair
    names = snakemake.params.names
    summary = pd.read_csv(snakemake.input.summary)
    metrics = zip(names["predictors"], snakemake.input.metrics, strict=True)
    configs = zip(names["trainings"], snakemake.input.configs, strict=True)
    pages = {
        "scores": scores_page(pair, summary[summary["pair"] == pair]),
        "ceilings": ceilings_page(pair, read_json(snakemake.input.ceilings)),
        "audit": audit_page(
            pair,
            {run: read_json(file)["audit"] for run, file in metrics},
            {run: read_json(file)["query_effect"] for run, file in configs},
        ),
    }
    for name, text in pages.items():
        with atomic_path(snakemake.output[name]) as path:
            path.write_text(text, encoding="utf-8")
