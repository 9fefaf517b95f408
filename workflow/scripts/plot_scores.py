"""Draw the scores of all runs on one pair of brains, and the comparisons between them."""

from brain2image.core.jobs import job
from brain2image.formats.tables import COMPARISONS, SUMMARY, read_result, read_table
from brain2image.report.figures.score_plots import plot_scores
from brain2image.report.figures.style import save

with job(snakemake):
    figures = plot_scores(
        read_table(snakemake.input.summary, SUMMARY),
        read_table(snakemake.input.comparisons, COMPARISONS, may_be_empty=True),
        brains=snakemake.params.brains,
        rsa_bound=read_result(snakemake.input.bounds, ["rsa"])["rsa"],
    )
    for name, figure in figures.items():
        save(figure, snakemake.output[name])
