"""Cut one THINGS subject's raw EEG into filtered trials of one second at 200 Hz."""

from brain2image.jobs import job
from brain2image.things.eeg import repack_eeg

with job(snakemake):
    repack_eeg(
        snakemake.input.sessions,
        snakemake.input.images,
        out=snakemake.output.eeg,
        **snakemake.params.filters,
    )
