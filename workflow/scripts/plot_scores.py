"""Draw the scores of all runs on one pair of brains, and the comparisons between them."""

from brain2image.core.jobs import job
from brain2image.core.outputs import atomic_path
from brain2image.evaluation.comparisons import ALL_BRAINS
from brain2image.formats.tables import COMPARISONS, SUMMARY, read_result, read_table
from brain2image.report.figures.score_plots import plot_comparisons, plot_curves, plot_retrieval
from brain2image.report.figures.style import save

with job(snakemake):
    pair = snakemake.params.pair
    summary = read_table(snakemake.input.summary, SUMMARY)
    summary = summary[summary["brains"] == pair]
    comparisons = read_table(snakemake.input.comparisons, COMPARISONS, may_be_empty=True)
    figures = {
        "retrieval": plot_retrieval(
            summary, rsa_ceiling=read_result(snakemake.input.ceilings, ["rsa"])["rsa"]
        ),
        "curves": plot_curves(summary),
        "comparisons": plot_comparisons(comparisons[comparisons["brains"].isin([pair, ALL_BRAINS])]),
    }
    for name, figure in figures.items():
        with atomic_path(snakemake.output[name]) as path:
            save(figure, path)
