"""Write the report's page on pictures from EEG."""

from brain2image.core.jobs import job
from brain2image.datasets.picture_sets import open_picture_sets
from brain2image.evaluation.predictions import read_predictions
from brain2image.formats.files import write_text
from brain2image.formats.tables import SUMMARY, read_result, read_table
from brain2image.report.pages.drawn_pictures import read_drawings
from brain2image.report.pages.pictures_page import pictures_page

with job(snakemake):
    brains, ways = snakemake.params.brains, snakemake.params.drawn["ways"]
    compared = [read_result(file, ["not_computed", "notes"]) for file in snakemake.input.get("compared", [])]
    tables = [snakemake.input.eeg_pictures, snakemake.input.fmri_pictures]
    eeg, fmri = open_picture_sets(tables, snakemake.params.pictures)
    tested = read_predictions(snakemake.input.predictions)
    summary = read_table(snakemake.input.summary, SUMMARY)
    page = pictures_page(
        brains,
        summary[summary["brains"] == brains],
        read_result(snakemake.input.decoded, ["similarity", "n_fitted", "clip"]),
        seen=eeg.read(tested.eeg_image),
        partners=fmri.read(tested.fmri_image),
        titles=(eeg.title, fmri.title),
        drawings=list(map(read_drawings, ways, snakemake.input.get("drawn", []))),
        compared=compared[0] if compared else {},
    )
    write_text(snakemake.output.page, page)
