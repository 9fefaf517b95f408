"""Measure and draw the quality of one subject's EEG."""

from brain2image.core.jobs import job
from brain2image.core.outputs import atomic_path
from brain2image.formats.files import write_json
from brain2image.quality.eeg_quality import inspect_eeg
from brain2image.report.figures import quality_plots as figures
from brain2image.report.figures.style import save

with job(snakemake):
    quality = inspect_eeg(snakemake.input.eeg, snakemake.input.images)
    for name in ("channels", "spectra", "responses"):
        figure = getattr(figures, f"plot_{name}")(quality)
        with atomic_path(snakemake.output[name]) as path:
            save(figure, path)
    write_json(snakemake.output.quality, quality)
