"""Write the report's page on the encoders of a config."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_text
from brain2image.formats.tables import SUMMARY, read_result, read_table
from brain2image.report.pages.eeg_encoders_page import encoders_page, training_costs

with job(snakemake):
    names = snakemake.params.names
    files = snakemake.input.configs
    brains = snakemake.params.brains
    summary = read_table(snakemake.input.summary, SUMMARY)
    configs = {
        folder: read_result(file, ["model", "encoder"])
        for folder, file in zip(names["trainings"], files, strict=True)
    }
    costs = dict(zip(names["trainings"], training_costs(files, names["benchmarks"]), strict=True))
    with_encoder = {folder: config for folder, config in configs.items() if config["encoder"]}
    text = encoders_page(brains, summary[summary["brains"] == brains], with_encoder, costs)
    write_text(snakemake.output.encoders, text)
