"""Bad tables and arrays of the results: of every case a name, the damage, and the message."""

import json

import numpy as np
import pandas as pd
from safetensors import safe_open
from safetensors.numpy import save_file

from helpers.damage import Payload, put


def table(name, change):
    """Write a table again; ``change`` gets and returns it."""

    def damage(root):
        path = root / name
        if path.suffix == ".parquet":
            change(pd.read_parquet(path)).to_parquet(path, index=False)
        else:
            separator = "\t" if path.suffix == ".tsv" else ","
            change(pd.read_csv(path, sep=separator)).to_csv(path, sep=separator, index=False)

    return damage


def without(name, column):
    return table(name, lambda rows: rows.drop(columns=column))


def with_values(name, **columns):
    return table(name, lambda rows: rows.assign(**columns))


def with_first(name, column, value):
    return table(name, lambda rows: rows.assign(**{column: [value, *rows[column][1:]]}))


REMEDY = "; delete it and run again"
PICTURES = {
    "column missing": (
        without("images.parquet", "concept"),
        rf"expected rows of image, .* got 9 rows.*{REMEDY}",
    ),
    "no rows": (
        table("images.parquet", lambda rows: rows[:0]),
        r"expected rows of .*got 0 rows of image, path",
    ),
    "numbers for texts": (
        with_values("images.parquet", concept=1),
        r"a text in every row of concept, got .*",
    ),
    "nothing for a text": (with_first("images.parquet", "path", None), r"a text in every row of path"),
    "NaN for an id": (
        with_first("images.parquet", "image", np.nan),
        rf"integer in every row of image.*{REMEDY}",
    ),
    "text for an id": (with_values("images.parquet", image="x"), r"an integer in every row of image"),
    "another table": (
        lambda root: pd.DataFrame({"a": [1]}).to_parquet(root / "images.parquet"),
        r"images\.parquet: expected rows of image, .*, got 1 rows of a;",
    ),
}
PAIRS = {
    "infinity": (with_values("pairs.parquet", similarity=np.inf), r"a number in every row of similarity"),
    "fractions": (with_values("pairs.parquet", cluster=0.5), r"an integer in every row of cluster"),
}
HISTORY = {
    "only its head": (
        put("history.csv", b"epoch,train_loss,val_loss,val_top1\n"),
        r"history\.csv: .* 0 rows",
    ),
    "half a line": (put("history.csv", b"epoch,val_loss\n1,0.5\n2,"), r"\(its last line is cut\)"),
    "NaN": (with_first("history.csv", "val_loss", np.nan), rf"a number in every row of val_loss.*{REMEDY}"),
    "text": (with_first("history.csv", "train_loss", "x"), r"a number in every row of train_loss"),
    "more cells than columns": (
        put("history.csv", b"epoch,val_loss\n1,2\n1,2,3\n"),
        r"cannot read this table",
    ),
}
SUMMARY = {
    "run missing": (without("summary.csv", "run"), r"summary\.csv: expected rows of brains, run"),
    "nameless run": (with_first("summary.csv", "run", None), r"a text in every row of run"),
    "NaN": (with_values("summary.csv", value=np.nan), r"a number in every row of value"),
}


def embeddings(**arrays):
    """Write other embeddings."""

    def write(root):
        whole = {"image": np.arange(9), "clip": np.array("ViT, tag"), "features": np.ones((9, 4), "f4")}
        np.savez(root / "clip.npz", **whole | {name: make(root) for name, make in arrays.items()})

    return write


EMBEDDINGS = {
    "other rows": (
        embeddings(features=lambda root: np.ones((8, 4), "f4")),
        r"clip\.npz: expected image .*\(8, 4\)",
    ),
    "one axis": (embeddings(features=lambda root: np.ones(9, "f4")), r"and float32 \(9,\)"),
    "integers": (embeddings(features=lambda root: np.ones((9, 4), int)), r"and int64 \(9, 4\)"),
    "NaN": (embeddings(features=lambda root: np.full((9, 4), np.nan)), r"clip\.npz: expected finite"),
    "layers with NaN": (
        embeddings(layer_01=lambda root: np.full((9, 4), np.nan)),
        r"clip\.npz: expected finite",
    ),
    "a model without a name": (embeddings(clip=lambda root: np.arange(2)), r"the name of a model as clip"),
    "a picture twice": (embeddings(image=lambda root: np.zeros(9, int)), r"expected each picture once"),
    "code": (embeddings(features=lambda root: np.array([Payload(root)], object)), r"Object arrays"),
}
PLANTED = {
    "array missing": (
        lambda root: np.savez(root / "oracle.npz", x=1),
        r"oracle\.npz: expected planted arrays, but .*\('weight'\)",
    ),
    "code": (
        lambda root: np.savez(root / "oracle.npz", weight=np.array([Payload(root)], object)),
        r"oracle\.npz: expected planted arrays, but .*Object arrays",
    ),
}
METRICS = {
    "key missing": (
        put("metrics.json", b'{"n_test": 3}'),
        r"metrics\.json: expected n_test, scores, audit, got n_test;",
    ),
    "a list": (put("metrics.json", b"[]"), r"got list;"),
    "nested": (put("metrics.json", b"[" * 100_000), r"cannot read this JSON file"),
}


def other_encoder(change, **facts):
    """Write the picture encoder again; ``change`` gets its tensors."""

    def damage(root):
        path = root / "encoder.safetensors"
        with safe_open(path, framework="numpy") as file:
            kept = json.loads(file.metadata()["picture_encoder"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        change(tensors)
        save_file(tensors, path, metadata={"picture_encoder": json.dumps(kept | facts)})

    return damage


ENCODER = {
    "no encoder": (
        lambda root: save_file({"a": np.ones(3)}, root / "encoder.safetensors"),
        r"encoder\.safetensors: expected a picture encoder, but .*; delete it and run again",
    ),
    "tensor missing": (other_encoder(lambda tensors: tensors.pop("dual")), r"a picture encoder, but 'dual'"),
    "other widths": (
        other_encoder(lambda tensors: tensors.update(dual=np.ones((7, 3), np.float32))),
        r"a picture encoder, but ",
    ),
    "NaN": (
        other_encoder(lambda tensors: tensors.update(offset=np.full(3, np.nan, np.float32))),
        r"and finite weights, got",
    ),
    "unknown method": (other_encoder(lambda _: None, method="x"), r"a picture encoder, but 'x'"),
}
CASES = {
    "pictures table": PICTURES,
    "pairs table": PAIRS,
    "history": HISTORY,
    "summary": SUMMARY,
    "comparisons": {"NaN": (with_values("comparisons.csv", difference=np.nan), r"every row of difference")},
    "benchmark": {
        "NaN": (with_values("job.tsv", s=np.nan), r"job\.tsv: expected a number in every row of s")
    },
    "embeddings": EMBEDDINGS,
    "picture encoder": ENCODER,
    "planted": PLANTED,
    "metrics": METRICS,
}
