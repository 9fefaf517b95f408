"""Write the first page of the report."""

from brain2image.core.jobs import job
from brain2image.core.outputs import atomic_path
from brain2image.formats.tables import CEILINGS, COMPARISONS, SUMMARY, read_result, read_table
from brain2image.report.figures.score_plots import plot_headline
from brain2image.report.figures.style import to_svg
from brain2image.report.pages.overview_page import overview_page

with job(snakemake), atomic_path(snakemake.output.overview) as path:
    summary = read_table(snakemake.input.summary, SUMMARY)
    audits = {pair: [] for pair in snakemake.params.pairs}
    for pair, file in zip(snakemake.params.pairs, snakemake.input.metrics, strict=True):
        audits[pair].append(read_result(file, ["audit"])["audit"])
    ceilings = [read_result(file, CEILINGS) for file in snakemake.input.ceilings]
    text = overview_page(
        summary,
        read_table(snakemake.input.comparisons, COMPARISONS, may_be_empty=True),
        audits=audits,
        ceilings=dict(zip(audits, ceilings, strict=True)),
        is_simulated=snakemake.params.is_simulated,
        figure=to_svg(plot_headline(summary)),
    )
    path.write_text(text, encoding="utf-8")
