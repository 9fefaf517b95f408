"""Write the pages of one pair of brains: scores, ceilings, leak audit."""

from brain2image.core.jobs import job
from brain2image.core.outputs import atomic_path
from brain2image.formats.tables import CEILINGS, SUMMARY, read_result, read_table
from brain2image.report.pages.audit_page import audit_page
from brain2image.report.pages.score_pages import ceilings_page, scores_page

with job(snakemake):
    pair = snakemake.params.pair
    names = snakemake.params.names
    summary = read_table(snakemake.input.summary, SUMMARY)
    metrics = zip(names["predictors"], snakemake.input.metrics, strict=True)
    configs = zip(names["trainings"], snakemake.input.configs, strict=True)
    pages = {
        "scores": scores_page(pair, summary[summary["brains"] == pair]),
        "ceilings": ceilings_page(pair, read_result(snakemake.input.ceilings, CEILINGS)),
        "audit": audit_page(
            pair,
            {run: read_result(file, ["audit"])["audit"] for run, file in metrics},
            {run: read_result(file, ["query_effect"])["query_effect"] for run, file in configs},
        ),
    }
    for name, text in pages.items():
        with atomic_path(snakemake.output[name]) as path:
            path.write_text(text, encoding="utf-8")
