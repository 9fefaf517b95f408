"""Draw example picture pairs: the best, the middle and the last."""

import pandas as pd

from brain2image import nsd, things
from brain2image.figures.pairs import choose_examples, plot_pairs
from brain2image.figures.style import save
from brain2image.files import atomic_path
from brain2image.jobs import job

with job(snakemake), atomic_path(snakemake.output.figure) as path:
    pairs = choose_examples(pd.read_parquet(snakemake.input.pairs), 6)
    things_table = pd.read_parquet(snakemake.input.things_images).set_index("image", drop=False)
    nsd_table = pd.read_parquet(snakemake.input.nsd_images).set_index("image", drop=False)
    roots = snakemake.params.roots
    figure = plot_pairs(
        pairs,
        list(things.read_images(things_table.loc[pairs["things_image"]], roots["things"])),
        list(nsd.read_images(nsd_table.loc[pairs["nsd_image"]], roots["nsd"])),
    )
    save(figure, path)
