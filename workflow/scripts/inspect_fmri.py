"""Measure and draw the quality of one subject's fMRI."""

from brain2image.figures.quality import plot_noise_ceilings
from brain2image.figures.style import save
from brain2image.files import atomic_path, write_json
from brain2image.jobs import job
from brain2image.quality.fmri import inspect_fmri

with job(snakemake), atomic_path(snakemake.output.noise_ceilings) as path:
    quality = inspect_fmri(snakemake.input.betas, snakemake.input.projection, snakemake.input.images)
    save(plot_noise_ceilings(quality), path)
    write_json(snakemake.output.quality, quality)
