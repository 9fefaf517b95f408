"""Draw the training curves of all runs on one pair of brains."""

import pandas as pd

from brain2image.figures.style import save
from brain2image.figures.training import plot_training
from brain2image.files import atomic_path
from brain2image.jobs import job

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    histories = [pd.read_csv(file) for file in snakemake.input.histories]
    save(plot_training(dict(zip(snakemake.params.runs, histories, strict=True))), path)
