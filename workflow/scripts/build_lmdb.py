"""Store every EEG trial and fMRI embedding of the image pairs once, in one LMDB file."""

import pandas as pd

from brain2image.jobs import job
from brain2image.lmdb_store import write_lmdb

with job(snakemake):
    write_lmdb(
        snakemake.output.lmdb,
        eeg=snakemake.input.eeg,
        projection=snakemake.input.projection,
        pairs=pd.read_parquet(snakemake.input.pairs),
    )
