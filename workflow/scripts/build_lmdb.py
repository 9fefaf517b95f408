"""Store every EEG trial and fMRI embedding of the image pairs once, in one LMDB file."""

from brain2image.core.jobs import job
from brain2image.formats.tables import read_table
from brain2image.training_set.lmdb_store import write_lmdb

with job(snakemake):
    write_lmdb(
        snakemake.output.lmdb,
        eeg=snakemake.input.eeg,
        projection=snakemake.input.projection,
        pairs=read_table(
            snakemake.input.pairs, ["eeg_image", "fmri_image", "similarity", "concept", "cluster", "split"]
        ),
    )
