"""Measure and draw the quality of one person's EEG."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_json
from brain2image.quality.eeg_quality import inspect_eeg
from brain2image.report.figures.quality_plots import plot_eeg_quality
from brain2image.report.figures.style import save

with job(snakemake):
    quality = inspect_eeg(snakemake.input.eeg, snakemake.input.images)
    for name, figure in plot_eeg_quality(quality).items():
        save(figure, snakemake.output[name])
    write_json(snakemake.output.quality, quality)
