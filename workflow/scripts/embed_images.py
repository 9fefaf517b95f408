"""Embed the pictures of one dataset with CLIP."""

import numpy as np

from brain2image.core.jobs import job
from brain2image.core.outputs import atomic_path
from brain2image.datasets.nsd import nsd_images as nsd
from brain2image.datasets.things_eeg2 import things_images as things
from brain2image.formats.tables import read_table
from brain2image.pairs.clip import embed_images
from brain2image.pairs.preparation import find_checkpoint

READERS = {"things": things.read_images, "nsd": nsd.read_images}

with job(snakemake):
    read_images = READERS[snakemake.wildcards.dataset]
    embeddings = embed_images(
        read_images(read_table(snakemake.input.images, ["image"]), snakemake.params.root),
        weights=find_checkpoint(snakemake.input.weights),
        n_threads=snakemake.threads,
        **snakemake.params.clip,
    )
    with atomic_path(snakemake.output.embeddings) as path:
        np.save(path, embeddings)
