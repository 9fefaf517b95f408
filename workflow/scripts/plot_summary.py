"""Draw the figure that a paper would print."""

from brain2image.core.jobs import job
from brain2image.evaluation.people_scores import score_people
from brain2image.formats.tables import COMPARISONS, SUMMARY, read_result, read_table
from brain2image.report.figures.style import save, save_pdf
from brain2image.report.figures.summary_figure import plot_summary

with job(snakemake):
    summary = read_table(snakemake.input.summary, SUMMARY)
    metrics = [read_result(file, ["per_image"]) for file in snakemake.input.metrics]
    figure = plot_summary(
        score_people(summary, snakemake.params.predictors, metrics),
        summary,
        read_table(snakemake.input.comparisons, COMPARISONS, may_be_empty=True),
    )
    save_pdf(figure, snakemake.output.pdf)
    save(figure, snakemake.output.figure)
