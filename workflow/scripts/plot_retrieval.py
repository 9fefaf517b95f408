"""Draw the retrieval scores of all runs on one pair of brains."""

import pandas as pd

from brain2image.evaluation import headline
from brain2image.figures.scores import plot_retrieval
from brain2image.figures.style import save
from brain2image.files import atomic_path
from brain2image.jobs import job

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    summary = headline(pd.read_csv(snakemake.input.summary))
    save(plot_retrieval(summary[summary["pair"] == snakemake.params.pair]), path)
