"""Score the predictions of one run on the test pairs, and audit what they depend on."""

from brain2image.core.jobs import job
from brain2image.evaluation.evaluating import evaluate_run
from brain2image.formats.files import write_json

with job(snakemake):
    config, history = [*snakemake.input.training, None, None][:2]
    metrics = evaluate_run(
        snakemake.input.predictions,
        snakemake.input.lmdb,
        snakemake.input.audit,
        config=config,
        history=history,
        predicted=snakemake.input.get("predicted") or None,  # empty where nobody learns from it
        clip=snakemake.input.get("clip", []),
        learned=snakemake.input.learned,
        others={name: snakemake.input[name] for name in snakemake.params.others},
        **snakemake.params.evaluation,
    )
    write_json(snakemake.output.metrics, metrics)
