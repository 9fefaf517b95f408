"""Measure what no predictor of the test pairs can pass."""

import numpy as np
import pandas as pd

from brain2image.ceilings import pairing_ceiling, rsa_ceiling, split_half
from brain2image.files import write_json
from brain2image.jobs import job
from brain2image.queries import read_eeg_halves, read_repetitions

with job(snakemake):
    eeg, pairs = read_eeg_halves(snakemake.input.lmdb)
    repetitions = read_repetitions(snakemake.input.lmdb)
    rows = {
        name: pd.Index(pd.read_parquet(snakemake.input[f"{name}_images"])["image"]).get_indexer(
            pairs[f"{name}_image"]
        )
        for name in ("things", "nsd")
    }
    clip = [np.load(snakemake.input[f"{name}_embeddings"], mmap_mode="r")[rows[name]] for name in rows]
    centred = repetitions - repetitions.mean(axis=(0, 1))
    ceilings = {
        "eeg": split_half(*eeg),
        "fmri": split_half(repetitions[0], repetitions[1:].mean(axis=0)) if len(repetitions) > 1 else None,
        "rsa": rsa_ceiling(centred),
        "pairing": pairing_ceiling(*clip),
    }
    write_json(snakemake.output.ceilings, ceilings)
