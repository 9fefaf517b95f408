"""Write the first page of the report."""

import pandas as pd

from brain2image.figures.scores import plot_headline
from brain2image.figures.style import to_svg
from brain2image.files import atomic_path, read_json
from brain2image.jobs import job
from brain2image.pages.overview import overview_page

with job(snakemake), atomic_path(snakemake.output.overview) as path:
    summary = pd.read_csv(snakemake.input.summary)
    audits = {pair: [] for pair in snakemake.params.pairs}
    for pair, file in zip(snakemake.params.pairs, snakemake.input.metrics, strict=True):
        audits[pair].append(read_json(file)["audit"])
    text = overview_page(
        summary,
        pd.read_csv(snakemake.input.comparisons),
        audits=audits,
        ceilings=dict(zip(audits, map(read_json, snakemake.input.ceilings), strict=True)),
        is_simulated=snakemake.params.is_simulated,
        figure=to_svg(plot_headline(summary)),
    )
    path.write_text(text, encoding="utf-8")
