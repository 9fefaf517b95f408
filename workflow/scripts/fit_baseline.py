"""Fit one comparison model on what a run learns from, predict the test pairs, and keep its weights."""

from functools import partial

from brain2image.config import RunConfig
from brain2image.core.jobs import job
from brain2image.evaluation.baselines.fitting import fit_baseline, read_scanned
from brain2image.formats.tables import read_table
from brain2image.pairs.clip_embeddings import read_embeddings

with job(snakemake):
    eeg, fmri = (read_embeddings(snakemake.input[side]) for side in ("eeg_embeddings", "fmri_embeddings"))
    pairs = read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "split"])
    fit_baseline(
        snakemake.wildcards.run,
        snakemake.input.lmdb,
        learned=snakemake.input.lmdbs,
        run=RunConfig(**snakemake.params.run),
        clip=eeg,
        read_scanned=partial(read_scanned, snakemake.input.projection, pairs, eeg=eeg, fmri=fmri),
        cbramod=snakemake.input.get("cbramod"),
        **snakemake.output,
    )
