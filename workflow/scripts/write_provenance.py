"""Write how the results were made: configuration, versions, time and memory."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_text
from brain2image.formats.tables import read_result
from brain2image.report.assembly import make_provenance

with job(snakemake):
    trainings = [read_result(file, ["versions", "device"]) for file in snakemake.input.configs]
    for name, text in make_provenance(snakemake.params.facts, trainings).items():
        write_text(snakemake.output[name], text)
