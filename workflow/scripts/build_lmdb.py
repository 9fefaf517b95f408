"""Store the EEG trials and embeddings that trainings and tests need, each once, in one file."""

from brain2image.core.jobs import job
from brain2image.formats.tables import read_table
from brain2image.training_set.lmdb_build import write_lmdb

with job(snakemake):
    learnable = snakemake.input.get("learnable")
    write_lmdb(
        snakemake.output.lmdb,
        eeg=snakemake.input.eeg,
        projection=snakemake.input.get("projection") or None,  # empty where there is no fMRI
        pairs=read_table(
            snakemake.input.pairs, ["eeg_image", "fmri_image", "similarity", "concept", "cluster", "split"]
        ),
        eeg_pictures=read_table(snakemake.input.eeg_pictures, ["image", "partition"]),
        predicted=snakemake.input.get("predicted") or None,  # empty where nobody learns from it
        learnable=read_table(learnable, ["image", "concept", "cluster"]) if learnable else None,
        **snakemake.params.options,
    )
