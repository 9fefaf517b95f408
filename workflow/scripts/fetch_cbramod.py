"""Download CBraMod's weights."""

from brain2image.jobs import job
from brain2image.sources import reveal
from brain2image.weights import copy, fetch

with job(snakemake):
    fetched = fetch(reveal(snakemake.params.source))
    copy(fetched.path, snakemake.output.weights)
    fetched.write_record(snakemake.output.record)
