"""Keep the ridge layer of a MindEye2 checkpoint."""

from safetensors.numpy import save_file

from brain2image.files import atomic_path, sha256
from brain2image.jobs import job
from brain2image.mindeye2 import read_ridge

with job(snakemake):
    checkpoint = snakemake.input.checkpoint
    weight, bias = read_ridge(checkpoint)
    with atomic_path(snakemake.output.ridge) as path:
        source = {"checkpoint": checkpoint, "sha256": sha256(checkpoint)}
        save_file({"weight": weight, "bias": bias}, path, metadata=source)
