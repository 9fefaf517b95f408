"""Keep the backbone of a MindEye2 checkpoint."""

from brain2image.core.jobs import job
from brain2image.decoding.backbone import extract_backbone
from brain2image.weights.sources import reveal

with job(snakemake):
    checkpoint = reveal(snakemake.params.checkpoint)
    extract_backbone(checkpoint, out=snakemake.output.backbone, **snakemake.params.kept)
