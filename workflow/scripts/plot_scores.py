"""Draw the scores of all runs on one pair of brains, and the comparisons between them."""

from brain2image.comparisons import ALL_PAIRS
from brain2image.figures.scores import plot_comparisons, plot_curves, plot_retrieval
from brain2image.figures.style import save
from brain2image.files import atomic_path
from brain2image.jobs import job
from brain2image.tables import COMPARISONS, SUMMARY, read_result, read_table

with job(snakemake):
    pair = snakemake.params.pair
    summary = read_table(snakemake.input.summary, SUMMARY)
    summary = summary[summary["pair"] == pair]
    comparisons = read_table(snakemake.input.comparisons, COMPARISONS, may_be_empty=True)
    figures = {
        "retrieval": plot_retrieval(
            summary, rsa_ceiling=read_result(snakemake.input.ceilings, ["rsa"])["rsa"]
        ),
        "curves": plot_curves(summary),
        "comparisons": plot_comparisons(comparisons[comparisons["pair"].isin([pair, ALL_PAIRS])]),
    }
    for name, figure in figures.items():
        with atomic_path(snakemake.output[name]) as path:
            save(figure, path)
