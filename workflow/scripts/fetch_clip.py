"""Download the CLIP weights of an open_clip tag, or from a URL, into a folder under their own name."""

from pathlib import Path

from brain2image.clip import pretrained_sources
from brain2image.jobs import job
from brain2image.sources import is_remote
from brain2image.weights import fetch, link_or_copy

with job(snakemake):
    model, weights = snakemake.params.clip["model"], snakemake.params.clip["weights"]
    fetched = fetch(*([weights] if is_remote(weights) else pretrained_sources(model, weights)))
    link_or_copy(fetched.path, Path(snakemake.output.weights, fetched.path.name))
    fetched.write_record(snakemake.output.record)
