"""Draw the training curves of all runs on one pair of brains."""

import pandas as pd

from brain2image.figures.style import save
from brain2image.figures.training import plot_training
from brain2image.files import atomic_path, read_json
from brain2image.jobs import job

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    histories = [pd.read_csv(file) for file in snakemake.input.histories]
    n_val = read_json(snakemake.input.audit)["n_pairs"]["val"]
    figure = plot_training(dict(zip(snakemake.params.runs, histories, strict=True)), n_val=n_val)
    save(figure, path)
