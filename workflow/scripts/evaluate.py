"""Score the predictions of one run on the test pairs, and audit what they depend on."""

from brain2image.audit import SPLIT_KEYS, audit_run
from brain2image.evaluation import evaluate
from brain2image.files import write_json
from brain2image.jobs import job
from brain2image.predictions import read_predictions
from brain2image.queries import training_targets
from brain2image.tables import read_result, read_table

with job(snakemake):
    content = read_predictions(snakemake.input.predictions)
    config, history = snakemake.input.training or (None, None)
    audit = audit_run(
        read_result(snakemake.input.audit, SPLIT_KEYS),
        target_dependence=float(content.target_dependence),
        target_mean=content.target_mean,
        training_targets=training_targets(snakemake.input.lmdb),
        best_epoch=config and read_result(config, ["best_epoch"])["best_epoch"],
        history=history and read_table(history, ["epoch", "val_loss"]),
    )
    metrics = evaluate(content, **snakemake.params.evaluation) | {"audit": audit}
    write_json(snakemake.output.metrics, metrics)
