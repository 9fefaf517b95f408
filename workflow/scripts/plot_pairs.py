"""Draw example picture pairs: the best, the middle and the last."""

from brain2image.core.jobs import job
from brain2image.core.outputs import atomic_path
from brain2image.datasets.nsd import nsd_images as nsd
from brain2image.datasets.things_eeg2 import things_images as things
from brain2image.formats.tables import find_rows, read_table
from brain2image.report.figures.pair_pictures import choose_examples, plot_pairs
from brain2image.report.figures.style import save

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    pairs = choose_examples(read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "similarity"]), 6)
    roots = snakemake.params.roots
    tables = {}
    for name, wanted in (("things", pairs["eeg_image"]), ("nsd", pairs["fmri_image"])):
        images = read_table(snakemake.input[f"{name}_images"], ["image"])
        rows = find_rows(images["image"], wanted, source=snakemake.input[f"{name}_images"])
        tables[name] = images.iloc[rows]
    figure = plot_pairs(
        pairs,
        list(things.read_images(tables["things"], roots["things"])),
        list(nsd.read_images(tables["nsd"], roots["nsd"])),
    )
    save(figure, path)
