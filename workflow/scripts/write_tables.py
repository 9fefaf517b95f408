"""Write the pages of one pair of brains: scores, bounds, leak audit."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_text
from brain2image.formats.tables import BOUNDS, SUMMARY, read_result, read_table
from brain2image.report.assembly import make_tables

with job(snakemake):
    names = snakemake.params.names
    metrics = {
        run: read_result(file, ["audit", "confusion"])
        for run, file in zip(names["predictors"], snakemake.input.metrics, strict=True)
    }
    configs = zip(names["trainings"], snakemake.input.configs, strict=True)
    pages = make_tables(
        read_table(snakemake.input.summary, SUMMARY),
        brains=snakemake.params.brains,
        bounds=read_result(snakemake.input.bounds, BOUNDS),
        audits={run: content["audit"] for run, content in metrics.items()},
        confusions={run: content["confusion"] for run, content in metrics.items()},
        query_effects={run: read_result(file, ["query_effect"])["query_effect"] for run, file in configs},
        is_decoded=names["is_decoded"],
    )
    for name, text in pages.items():
        write_text(snakemake.output[name], text)
