"""Score the predictions of one run on the test pairs, and audit what they depend on."""

import pandas as pd

from brain2image.audit import audit_run
from brain2image.evaluation import evaluate
from brain2image.files import read_json, write_json
from brain2image.jobs import job
from brain2image.predictions import read_predictions
from brain2image.queries import training_targets

with job(snakemake):
    content = read_predictions(snakemake.input.predictions)
    config, history = snakemake.input.training or (None, None)
    training = config and {name: read_json(config)[name] for name in ("best_epoch", "network_share")}
    audit = audit_run(
        read_json(snakemake.input.audit),
        target_dependence=float(content.target_dependence),
        target_mean=content.target_mean,
        training_targets=training_targets(snakemake.input.lmdb),
        best_epoch=training and training["best_epoch"],
        history=history and pd.read_csv(history),
    )
    metrics = evaluate(content, **snakemake.params.evaluation)
    write_json(snakemake.output.metrics, metrics | {"training": training, "audit": audit})
