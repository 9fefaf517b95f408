"""Embed one part of the pictures of a data set with CLIP."""

from brain2image.core.jobs import job
from brain2image.core.modules import load_module
from brain2image.formats.tables import read_part
from brain2image.pairs.clip import clip_identity, embed_images
from brain2image.pairs.clip_embeddings import PROJECTED, write_embeddings
from brain2image.pairs.preparation import find_checkpoint

with job(snakemake):
    pictures = snakemake.params.pictures
    weights = find_checkpoint(snakemake.input.weights)
    table = read_part(snakemake.input.images, pictures["part"])
    layers = embed_images(
        load_module(pictures["reader"]).read_images(table, pictures["root"]),
        weights=weights,
        n_threads=snakemake.threads,
        **snakemake.params.clip,
    )
    identity = clip_identity(snakemake.params.clip["model"], weights, tag=snakemake.params.clip["tag"])
    projected = layers.pop(PROJECTED)
    write_embeddings(snakemake.output.embeddings, table["image"], projected, clip=identity, layers=layers)
