"""Match pictures of an EEG data set one-to-one with those that the fMRI subjects saw."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_parquet
from brain2image.formats.hdf5 import read_shown
from brain2image.formats.tables import read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.pairs.matching import match_images

with job(snakemake):
    pairs = match_images(
        read_table(snakemake.input.eeg_pictures, ["image", "partition"]),
        read_embeddings(snakemake.input.eeg_embeddings),
        read_embeddings(snakemake.input.fmri_embeddings),
        seen=read_shown(snakemake.input.betas),
        **snakemake.params.matching,
    )
    write_parquet(snakemake.output.pairs, pairs)
