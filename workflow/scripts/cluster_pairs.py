"""Label the pairs by K-means on the embeddings of the training pairs."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_parquet
from brain2image.formats.tables import find_rows, read_array, read_table
from brain2image.pairs.clustering import cluster_pairs

with job(snakemake):
    pairs = read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "split"])
    nsd = read_table(snakemake.input.nsd_images, ["image"])
    nsd_rows = find_rows(nsd["image"], pairs["fmri_image"], source=snakemake.input.nsd_images)
    labels = cluster_pairs(
        read_array(snakemake.input.things_embeddings, rows=pairs["eeg_image"]),
        read_array(snakemake.input.nsd_embeddings, n_rows=len(nsd), rows=nsd_rows),
        (pairs["split"] == "train").to_numpy(),
        **snakemake.params.clustering,
    )
    pairs.insert(pairs.columns.get_loc("split"), "cluster", labels)
    write_parquet(snakemake.output.pairs, pairs)
