"""Draw the map of the pairs and their clusters."""

from brain2image.core.jobs import job
from brain2image.core.outputs import atomic_path
from brain2image.formats.tables import find_rows, read_array, read_table
from brain2image.report.figures.pair_pictures import plot_clusters
from brain2image.report.figures.style import save

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    pairs = read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "cluster", "split"])
    nsd = read_table(snakemake.input.nsd_images, ["image"])
    nsd_rows = find_rows(nsd["image"], pairs["fmri_image"], source=snakemake.input.nsd_images)
    figure = plot_clusters(
        pairs,
        read_array(snakemake.input.things_embeddings, rows=pairs["eeg_image"]),
        read_array(snakemake.input.nsd_embeddings, n_rows=len(nsd), rows=nsd_rows),
    )
    save(figure, path)
