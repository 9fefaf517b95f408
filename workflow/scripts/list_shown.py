"""List the pictures that the people of a data set of EEG saw, where these are the fMRI's own."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_parquet
from brain2image.formats.tables import read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.pairs.picture_groups import list_shown

with job(snakemake):
    pictures = read_table(snakemake.input.pictures, ["image"])
    write_parquet(
        snakemake.output.pictures, list_shown(pictures, read_embeddings(snakemake.input.embeddings))
    )
