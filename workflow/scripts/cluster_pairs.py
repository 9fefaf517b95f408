"""Label the pairs by K-means on the embeddings of the training pairs."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_parquet
from brain2image.formats.tables import read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.pairs.clustering import cluster_pairs

with job(snakemake):
    pairs = cluster_pairs(
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "split"]),
        read_embeddings(snakemake.input.eeg_embeddings),
        read_embeddings(snakemake.input.fmri_embeddings),
        **snakemake.params.clustering,
    )
    write_parquet(snakemake.output.pairs, pairs)
