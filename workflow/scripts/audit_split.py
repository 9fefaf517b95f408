"""Count what training and test pairs have in common."""

import numpy as np
import pandas as pd

from brain2image.audit import audit_split
from brain2image.files import write_json
from brain2image.hdf5 import open_hdf5, read_trials
from brain2image.jobs import job

with job(snakemake), open_hdf5(snakemake.input.eeg) as eeg, open_hdf5(snakemake.input.projection) as fmri:
    counts = audit_split(
        pd.read_parquet(snakemake.input.pairs),
        things=pd.read_parquet(snakemake.input.things_images),
        nsd=pd.read_parquet(snakemake.input.nsd_images),
        eeg=read_trials(eeg),
        fmri=read_trials(fmri),
        clip={
            "things": np.load(snakemake.input.things_embeddings, mmap_mode="r"),
            "nsd": np.load(snakemake.input.nsd_embeddings, mmap_mode="r"),
        },
    )
    write_json(snakemake.output.audit, counts)
