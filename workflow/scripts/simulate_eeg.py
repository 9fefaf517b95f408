"""Simulate the eight raw EEG recordings of one THINGS-EEG2 subject."""

from brain2image.core.jobs import job
from brain2image.synthetic.raw_files import simulate_eeg

with job(snakemake):
    simulate_eeg(
        snakemake.params.simulate,
        snakemake.params.subject,
        latents=snakemake.input.latents,
        sessions=snakemake.output.sessions,
    )
