"""Download the CLIP weights of an open_clip tag, or from a URL with the config beside them, into a folder."""

from pathlib import Path

from brain2image.core.jobs import job
from brain2image.pairs.clip import pretrained_sources
from brain2image.weights.download import fetch, fetch_beside, link_or_copy
from brain2image.weights.sources import CLIP_CONFIG, is_remote, reveal

with job(snakemake):
    model, weights = snakemake.params.clip["model"], reveal(snakemake.params.clip["weights"])
    folder = Path(snakemake.output.weights)  # called as the key of the config
    sources = [weights] if is_remote(weights) else pretrained_sources(model, weights, key=folder.name)
    fetched = fetch(*sources)
    link_or_copy(fetched.path, folder / fetched.path.name)
    if is_remote(weights) and (config := fetch_beside(weights, CLIP_CONFIG)):  # of a tag open_clip knows it
        link_or_copy(config, folder / CLIP_CONFIG)
    fetched.write_record(snakemake.output.record)
