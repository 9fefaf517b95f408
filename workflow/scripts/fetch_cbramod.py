"""Download CBraMod's weights."""

from brain2image.jobs import job
from brain2image.weights import fetch, keep

with job(snakemake):
    fetched = fetch(snakemake.params.source)
    keep(fetched, out=snakemake.output.weights, record=snakemake.output.record)
