"""Draw the training curves of all runs on one pair of brains."""

from brain2image.figures.style import save
from brain2image.figures.training import plot_training
from brain2image.files import atomic_path
from brain2image.jobs import job
from brain2image.tables import read_result, read_table

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    histories = [
        read_table(file, ["epoch", "train_loss", "val_loss", "val_top1"])
        for file in snakemake.input.histories
    ]
    n_val = read_result(snakemake.input.audit, ["n_pairs"])["n_pairs"]["val"]
    figure = plot_training(dict(zip(snakemake.params.runs, histories, strict=True)), n_val=n_val)
    save(figure, path)
