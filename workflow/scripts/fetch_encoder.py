"""Download the published weights of an encoder."""

from brain2image.core.jobs import job
from brain2image.weights.download import copy, fetch
from brain2image.weights.sources import reveal

with job(snakemake):
    fetched = fetch(reveal(snakemake.params.source))
    copy(fetched.path, snakemake.output.weights)
    fetched.write_record(snakemake.output.record)
