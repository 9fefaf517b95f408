"""Embed the pictures of one dataset with CLIP."""

import numpy as np

from brain2image import nsd, things
from brain2image.clip import embed_images
from brain2image.files import atomic_path
from brain2image.jobs import job
from brain2image.preparation import find_checkpoint
from brain2image.tables import read_table

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
