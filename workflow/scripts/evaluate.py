"""Score the predictions of one run on the test pairs, and audit what they depend on."""

from brain2image.core.jobs import job
from brain2image.evaluation.predictions import read_predictions
from brain2image.evaluation.run_audit import SPLIT_KEYS, audit_run
from brain2image.evaluation.scores import evaluate
from brain2image.formats.files import write_json
from brain2image.formats.tables import read_result, read_table
from brain2image.training_set.means import read_training_targets

TRAINING = ("best_epoch", "network_share")

with job(snakemake):
    content = read_predictions(snakemake.input.predictions)
    config, history = snakemake.input.training or (None, None)
    training = config and {key: read_result(config, TRAINING)[key] for key in TRAINING}
    audit = audit_run(
        read_result(snakemake.input.audit, SPLIT_KEYS),
        target_dependence=float(content.target_dependence),
        target_mean=content.target_mean,
        read_training_targets=read_training_targets(snakemake.input.lmdb),
        best_epoch=training and training["best_epoch"],
        history=history and read_table(history, ["epoch", "val_loss"]),
    )
    metrics = evaluate(content, **snakemake.params.evaluation)
    write_json(snakemake.output.metrics, metrics | {"training": training, "audit": audit})
