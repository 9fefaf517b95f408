"""Write one THINGS subject's trials of one second at 200 Hz, from the release that was found."""

from brain2image.core.jobs import job
from brain2image.datasets.things_eeg2.things_eeg import repack_eeg

with job(snakemake):
    repack_eeg(
        snakemake.input.files,
        snakemake.input.images,
        out=snakemake.output.eeg,
        n_threads=snakemake.threads,
        **snakemake.params.eeg,
    )
