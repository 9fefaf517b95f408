"""Match THINGS pictures that have EEG trials one-to-one with the NSD pictures that the fMRI subjects saw."""

import numpy as np

from brain2image.core.jobs import job
from brain2image.formats.files import write_parquet
from brain2image.formats.hdf5 import open_hdf5, read_trials
from brain2image.formats.tables import read_array, read_table
from brain2image.pairs.matching import match_images

with job(snakemake):
    with open_hdf5(snakemake.input.eeg) as eeg:
        shown = read_trials(eeg)["image"].unique()
    seen = set()
    for path in snakemake.input.betas:
        with open_hdf5(path) as betas:
            seen.update(read_trials(betas)["image"])
    things = read_table(snakemake.input.things_images, ["image", "partition"])
    nsd = read_table(snakemake.input.nsd_images, ["image"])
    pairs = match_images(
        things,
        nsd,
        read_array(snakemake.input.things_embeddings, n_rows=len(things)),
        read_array(snakemake.input.nsd_embeddings, n_rows=len(nsd)),
        shown=shown,
        seen=np.array(sorted(seen)),
        **snakemake.params.matching,
    )
    write_parquet(snakemake.output.pairs, pairs)
