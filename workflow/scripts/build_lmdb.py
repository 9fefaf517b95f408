"""Store every EEG trial and fMRI embedding of the image pairs once, in one LMDB file."""

from brain2image.jobs import job
from brain2image.lmdb_store import write_lmdb
from brain2image.tables import read_table

with job(snakemake):
    write_lmdb(
        snakemake.output.lmdb,
        eeg=snakemake.input.eeg,
        projection=snakemake.input.projection,
        pairs=read_table(
            snakemake.input.pairs, ["things_image", "nsd_image", "similarity", "cluster", "split"]
        ),
    )
