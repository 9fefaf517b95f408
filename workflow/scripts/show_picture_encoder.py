"""Write the report's page on a picture encoder."""

from brain2image.core.jobs import job
from brain2image.formats.files import write_text
from brain2image.formats.tables import ENCODER, read_result
from brain2image.report.pages.encoder_page import encoder_page

with job(snakemake):
    names = snakemake.params.names
    text = encoder_page(
        names["pairs"],
        read_result(snakemake.input.encoder, ENCODER),
        {
            subject: read_result(file, ["embedding"])["embedding"]
            for subject, file in zip(names["subjects"], snakemake.input.quality, strict=True)
        },
    )
    write_text(snakemake.output.encoder, text)
