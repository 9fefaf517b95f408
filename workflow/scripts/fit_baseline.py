"""Fit one comparison model on the training pairs, predict the test pairs, and keep its weights."""

from brain2image.core.jobs import job
from brain2image.evaluation.baselines.base import Training
from brain2image.evaluation.baselines.fitting import BASELINES
from brain2image.evaluation.queries import write_test_predictions
from brain2image.formats.tables import find_rows, read_array, read_table
from brain2image.models.linear_model import write_baseline
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import read_pairs

with job(snakemake):
    lmdb, name = snakemake.input.lmdb, snakemake.wildcards.run
    reader, pairs = LMDBReader(lmdb), read_pairs(lmdb, "train")
    things = read_table(snakemake.input.things_images, ["image", "concept"])
    rows = find_rows(things["image"], pairs.table["eeg_image"], source=snakemake.input.things_images)
    training = Training(
        pairs,
        concepts=things["concept"].to_numpy()[rows],
        clip=read_array(snakemake.input.things_embeddings, n_rows=len(things)),
        meta=reader.meta,
        cbramod=snakemake.input.get("cbramod"),
    )
    predict = BASELINES[name](training)
    write_test_predictions(
        snakemake.output.predictions, predict, lmdb, target_mean=pairs.targets.mean(axis=0)
    )
    write_baseline(
        predict,
        name=name,
        pairs=pairs,
        data=reader.describe(),
        model=snakemake.output.model,
        config=snakemake.output.config,
    )
