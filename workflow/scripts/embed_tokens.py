"""Compute the CLIP tokens of the pictures that are tested, and of some that linear ways are fitted on."""

from brain2image.core.jobs import job
from brain2image.datasets.picture_sets import open_picture_sets
from brain2image.decoding.gallery_tokens import choose_pictures, compute_tokens, write_tokens
from brain2image.formats.hdf5 import read_shown
from brain2image.formats.tables import read_table
from brain2image.pairs.clip import clip_identity
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.pairs.preparation import find_checkpoint

with job(snakemake):
    weights = find_checkpoint(snakemake.input.weights)
    chosen = choose_pictures(
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "split"]),
        read_shown([snakemake.input.projection]),
        read_embeddings(snakemake.input.eeg_embeddings),
        read_embeddings(snakemake.input.fmri_embeddings),
        **snakemake.params.chosen,
    )
    (pictures,) = open_picture_sets([snakemake.input.images], snakemake.params.pictures)
    tokens = compute_tokens(
        pictures.read(chosen["image"].to_numpy()),
        weights=weights,
        n_threads=snakemake.threads,
        **snakemake.params.clip,
    )
    identity = clip_identity(snakemake.params.clip["model"], weights, tag=snakemake.params.clip["tag"])
    write_tokens(snakemake.output.tokens, tokens, chosen, identity=identity)
