"""Measure and draw the quality of one subject's EEG."""

from brain2image.figures import quality as figures
from brain2image.figures.style import save
from brain2image.files import atomic_path, write_json
from brain2image.jobs import job
from brain2image.quality.eeg import inspect_eeg

with job(snakemake):
    quality = inspect_eeg(snakemake.input.eeg, snakemake.input.images)
    for name in ("channels", "spectra", "responses"):
        figure = getattr(figures, f"plot_{name}")(quality)
        with atomic_path(snakemake.output[name]) as path:
            save(figure, path)
    write_json(snakemake.output.quality, quality)
