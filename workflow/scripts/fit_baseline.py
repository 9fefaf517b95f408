"""Fit one comparison model on the training pairs, predict the test pairs, and keep its weights."""

from brain2image.core.jobs import job
from brain2image.evaluation.baselines.fitting import fit_baseline
from brain2image.formats.tables import read_table
from brain2image.pairs.clip_embeddings import read_embeddings

with job(snakemake):
    fit_baseline(
        snakemake.wildcards.run,
        snakemake.input.lmdb,
        pictures=read_table(snakemake.input.pictures, ["image", "concept"]),
        clip=read_embeddings(snakemake.input.embeddings),
        cbramod=snakemake.input.get("cbramod"),
        **snakemake.output,
    )
