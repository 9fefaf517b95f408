"""Draw and tabulate what every method reaches on each person."""

from brain2image.core.jobs import job
from brain2image.evaluation.people_scores import score_people
from brain2image.formats.files import write_text
from brain2image.formats.tables import SUMMARY, read_result, read_table
from brain2image.report.figures.people_plots import plot_people
from brain2image.report.figures.style import save
from brain2image.report.pages.people_page import people_page

with job(snakemake):
    scores = score_people(
        read_table(snakemake.input.summary, SUMMARY),
        snakemake.params.predictors,
        [read_result(file, ["per_image"]) for file in snakemake.input.metrics],
    )
    save(plot_people(scores), snakemake.output.figure)
    write_text(snakemake.output.table, people_page(scores))
