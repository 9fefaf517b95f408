"""Label the pairs by K-means on the embeddings of the training pairs."""

from brain2image.clustering import cluster_pairs
from brain2image.files import write_parquet
from brain2image.jobs import job
from brain2image.tables import find_rows, read_array, read_table

with job(snakemake):
    pairs = read_table(snakemake.input.pairs, ["things_image", "nsd_image", "split"])
    nsd = read_table(snakemake.input.nsd_images, ["image"])
    nsd_rows = find_rows(nsd["image"], pairs["nsd_image"], source=snakemake.input.nsd_images)
    labels = cluster_pairs(
        read_array(snakemake.input.things_embeddings, rows=pairs["things_image"]),
        read_array(snakemake.input.nsd_embeddings, n_rows=len(nsd), rows=nsd_rows),
        (pairs["split"] == "train").to_numpy(),
        **snakemake.params.clustering,
    )
    pairs.insert(pairs.columns.get_loc("split"), "cluster", labels)
    write_parquet(snakemake.output.pairs, pairs)
