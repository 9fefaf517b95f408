"""Draw example picture pairs: the best, the middle and the last."""

from brain2image import nsd, things
from brain2image.figures.pairs import choose_examples, plot_pairs
from brain2image.figures.style import save
from brain2image.files import atomic_path
from brain2image.jobs import job
from brain2image.tables import find_rows, read_table

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    pairs = choose_examples(read_table(snakemake.input.pairs, ["things_image", "nsd_image", "similarity"]), 6)
    roots = snakemake.params.roots
    tables = {}
    for name, wanted in (("things", pairs["things_image"]), ("nsd", pairs["nsd_image"])):
        images = read_table(snakemake.input[f"{name}_images"], ["image"])
        rows = find_rows(images["image"], wanted, source=snakemake.input[f"{name}_images"])
        tables[name] = images.iloc[rows]
    figure = plot_pairs(
        pairs,
        list(things.read_images(tables["things"], roots["things"])),
        list(nsd.read_images(tables["nsd"], roots["nsd"])),
    )
    save(figure, path)
