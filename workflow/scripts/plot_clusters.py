"""Draw the map of the pairs and their clusters."""

from brain2image.figures.pairs import plot_clusters
from brain2image.figures.style import save
from brain2image.files import atomic_path
from brain2image.jobs import job
from brain2image.tables import find_rows, read_array, read_table

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    pairs = read_table(snakemake.input.pairs, ["things_image", "nsd_image", "cluster", "split"])
    nsd = read_table(snakemake.input.nsd_images, ["image"])
    nsd_rows = find_rows(nsd["image"], pairs["nsd_image"], source=snakemake.input.nsd_images)
    figure = plot_clusters(
        pairs,
        read_array(snakemake.input.things_embeddings, rows=pairs["things_image"]),
        read_array(snakemake.input.nsd_embeddings, n_rows=len(nsd), rows=nsd_rows),
    )
    save(figure, path)
