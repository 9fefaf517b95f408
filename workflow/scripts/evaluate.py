"""Score the predictions of one run on the test pairs."""

from brain2image.evaluation import evaluate
from brain2image.files import write_json
from brain2image.jobs import job
from brain2image.predictions import read_predictions

with job(snakemake):
    metrics = evaluate(read_predictions(snakemake.input.predictions), **snakemake.params.evaluation)
    write_json(snakemake.output.metrics, metrics)
