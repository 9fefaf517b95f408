"""Draw the training curves of all runs on one pair of brains."""

from brain2image.core.jobs import job
from brain2image.formats.tables import read_result, read_table
from brain2image.report.figures.style import save
from brain2image.report.figures.training_curves import plot_training

with job(snakemake):
    histories = [
        read_table(file, ["epoch", "train_loss", "val_loss", "val_top1"])
        for file in snakemake.input.histories
    ]
    n_val = read_result(snakemake.input.audit, ["n_pairs"])["n_pairs"]["val"]
    figure = plot_training(dict(zip(snakemake.params.runs, histories, strict=True)), n_val=n_val)
    save(figure, snakemake.output.figure)
