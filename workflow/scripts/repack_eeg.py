"""Write the trials of one EEG person, of one second at 200 Hz, from the release that was found."""

from brain2image.core.jobs import job
from brain2image.core.modules import load_module

with job(snakemake):
    reader = load_module(snakemake.params.reader)
    reader.repack_eeg(
        snakemake.input.files,
        snakemake.input.images,
        out=snakemake.output.eeg,
        n_threads=snakemake.threads,
        **snakemake.params.eeg,
    )
