"""Draw the scores of all runs on one pair of brains, and the comparisons between them."""

import pandas as pd

from brain2image.comparisons import ALL_PAIRS
from brain2image.figures.scores import plot_comparisons, plot_curves, plot_retrieval
from brain2image.figures.style import save
from brain2image.files import atomic_path, read_json
from brain2image.jobs import job

with job(snakemake):
    pair = snakemake.params.pair
    summary = pd.read_csv(snakemake.input.summary)
    summary = summary[summary["pair"] == pair]
    comparisons = pd.read_csv(snakemake.input.comparisons)
    figures = {
        "retrieval": plot_retrieval(summary, rsa_ceiling=read_json(snakemake.input.ceilings)["rsa"]),
        "curves": plot_curves(summary),
        "comparisons": plot_comparisons(comparisons[comparisons["pair"].isin([pair, ALL_PAIRS])]),
    }
    for name, figure in figures.items():
        with atomic_path(snakemake.output[name]) as path:
            save(figure, path)
