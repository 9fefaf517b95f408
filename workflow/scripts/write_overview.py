"""Write the first page of the report."""

from pathlib import Path

from brain2image.core.jobs import job
from brain2image.formats.files import write_text
from brain2image.formats.tables import BOUNDS, COMPARISONS, SUMMARY, read_result, read_table
from brain2image.report.assembly import make_overview

with job(snakemake):
    text = make_overview(
        read_table(snakemake.input.summary, SUMMARY),
        read_table(snakemake.input.comparisons, COMPARISONS, may_be_empty=True),
        brains=snakemake.params.brains,
        audits=[read_result(file, ["audit"])["audit"] for file in snakemake.input.metrics],
        bounds=[read_result(file, BOUNDS) for file in snakemake.input.bounds],
        is_simulated=snakemake.params.is_simulated,
        figure=Path(snakemake.input.figure).read_text(encoding="utf-8"),
    )
    write_text(snakemake.output.overview, text)
