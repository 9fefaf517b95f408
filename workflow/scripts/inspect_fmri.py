"""Measure and draw the quality of one subject's fMRI."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_json
from brain2image.quality.fmri_quality import inspect_fmri
from brain2image.report.figures.quality_plots import plot_noise_ceilings
from brain2image.report.figures.style import save

with job(snakemake):
    quality = inspect_fmri(snakemake.input.betas, snakemake.input.projection, snakemake.input.images)
    save(plot_noise_ceilings(quality), snakemake.output.noise_ceilings)
    write_json(snakemake.output.quality, quality)
