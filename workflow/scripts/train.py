"""Train the EEG encoder of one pair of brains, or of several people, and keep its best epoch."""

from brain2image.config import RunConfig
from brain2image.core.jobs import job
from brain2image.training.train import train

with job(snakemake):
    train(
        snakemake.input.lmdbs,
        run=RunConfig(
            people=snakemake.params.learners["people"],
            model=snakemake.params.model,
            loss=snakemake.params.loss,
            training=snakemake.params.training | snakemake.params.without_effect,
        ),
        weights=snakemake.input.get("weights"),
        tested=snakemake.input.get("tested", []),
        clip=snakemake.input.get("clip", []),
        thumbnails=snakemake.input.get("thumbnails", []),
        code=snakemake.params.code,
        state=snakemake.params.state,
        n_devices=snakemake.resources.gpu,
        n_workers=snakemake.threads,
        model=snakemake.output.model,
        config=snakemake.output.config,
        history=snakemake.output.history,
        tensorboard=snakemake.output.tensorboard,
    )
