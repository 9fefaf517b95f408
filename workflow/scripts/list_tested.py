"""Keep the CLIP features of the pictures of validation and test pairs, for other data sets to leave out."""

from brain2image.core.jobs import job
from brain2image.formats.tables import read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.pairs.tested_pictures import write_tested

with job(snakemake):
    write_tested(
        snakemake.output.tested,
        read_table(snakemake.input.pairs, ["eeg_image", "fmri_image", "split"]),
        read_embeddings(snakemake.input.eeg_embeddings),
        read_embeddings(snakemake.input.fmri_embeddings),
        splits=snakemake.params.splits,
    )
