"""What the network, linear models and an oracle recover of synthetic data whose ceiling is known.

    python benchmarks/recovery.py FOLDER [--seeds 0 1 2] [--methods network ridge ...]

Three signal-to-noise ratios x two numbers of training pairs x three seeds, once with a linear relation of EEG
and fMRI embedding, once with a part that is not linear (`recovery_data.fmri_latents`). Each result is a file
in FOLDER/rows, and what stands there is not computed again: a killed run goes on where it was, and several
with different seeds may run side by side. FOLDER/recovery.csv gets a row a test picture; Markdown tables are
printed, of whatever is there.

The network is the default run at a size that a CPU trains in a minute: one CBraMod layer with random
weights, 17 electrodes, 256 features, a hidden size of 256, one pooling layer of two tokens, and four epochs
at higher rates.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recovery_data import Setting, write_setting

from brain2image.config import RunConfig
from brain2image.core.atomic import atomic_path
from brain2image.evaluation.baselines.base import Training
from brain2image.evaluation.baselines.fitting import BASELINES
from brain2image.evaluation.baselines.oracle import fit_ceiling
from brain2image.evaluation.metrics import ranks, similarity_matrix
from brain2image.models.alignment import AlignmentModel
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.training.train import train
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import Predictor, read_pairs

SNRS, PAIR_COUNTS, RELATIONS = (0.2, 0.4, 0.8), (400, 1200), (False, True)
MODEL = {"pretrained": False, "n_layers": 1, "hidden_size": 256, "n_tokens": 2, "pooling_layers": 1}
TRAINING = {"epochs": 4, "learning_rate": 1e-3, "backbone_learning_rate": 1e-4}
OUTPUTS = {
    "model": "model.safetensors",
    "config": "config.json",
    "history": "history.csv",
    "tensorboard": "tensorboard",
}
LINEAR = ("ridge", "pls")  # of the EEG and the embeddings alone; two_step sees CLIP features, too
OTHERS = ("kernel_ridge", "two_step")
METRICS = {"top1": ("top-1, %", 100), "mrr": ("reciprocal rank", 1), "cosine": ("cosine", 1)}
KEYS = ["relation", "n_pairs", "snr"]
N_RESAMPLES = 2000


def fit_network(setting: Setting, folder: Path, model: dict[str, Any]) -> Predictor:
    """Train on the setting's LMDB."""
    run = RunConfig(model=MODEL | model, training=TRAINING | {"seed": setting.seed})
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        outputs = {name: out / file for name, file in OUTPUTS.items()}
        train(folder / "data.lmdb", run=run, weights=None, code="", state=out / "state", **outputs)
        trained = AlignmentModel.load(out)
    return lambda pairs: trained.predict(pairs.eeg).numpy()


def fit_baseline(_: Setting, folder: Path, name: str) -> Predictor:
    """Fit a comparison model on the setting's training pairs."""
    lmdb, oracle = folder / "data.lmdb", np.load(folder / "oracle.npz")
    pairs, meta = read_pairs(lmdb, "train"), LMDBReader(lmdb).meta
    concepts = oracle["concept"][pairs.table["eeg_image"]]
    clip = Embeddings(np.arange(len(oracle["clip"])), oracle["clip"], "oracle.npz")
    return BASELINES[name](Training(pairs, concepts, clip, meta=meta, cbramod=None))


def fit_oracle(_: Setting, folder: Path) -> Predictor:
    """The best prediction from what the picture truly shows; pairing and fMRI noise limit it."""
    pairs, oracle = read_pairs(folder / "data.lmdb", "train"), np.load(folder / "oracle.npz")
    return fit_ceiling(pairs, oracle["expected"])


METHODS: dict[str, Callable[[Setting, Path], Predictor]] = {
    "network": partial(fit_network, model={}),
    "without_path": partial(fit_network, model={"linear_axes": 0}),
    **{
        name: partial(fit_baseline, name=name)
        for name in ("ridge", "pls", "kernel_ridge", "two_step", "clip_oracle")
    },
    "oracle": fit_oracle,
}
DEFAULT_METHODS = [name for name in METHODS if name != "without_path"]


def picture_scores(predict: Predictor, folder: Path) -> pd.DataFrame:
    """Scores of each test picture, centred on the mean training embedding as in `evaluation.evaluate`."""
    mean = read_pairs(folder / "data.lmdb", "train")[1].mean(axis=0)
    test = read_pairs(folder / "data.lmdb", "test")
    similarity = similarity_matrix(predict(test) - mean, test.targets - mean)
    rank = np.diag(ranks(similarity))
    return pd.DataFrame(
        {
            "eeg_image": test.table["eeg_image"],
            "top1": (rank == 1).astype(float),
            "mrr": 1 / rank,
            "cosine": np.diag(similarity),
        }
    )


def run_all(folder: Path, settings: Sequence[Setting], methods: Sequence[str]) -> None:
    """Compute what is missing."""
    for setting, method in product(settings, methods):
        rows, data = folder / "rows" / f"{setting.name}_{method}.csv", folder / "data" / setting.name
        if rows.exists():
            continue
        if not (data / "data.lmdb").exists():
            write_setting(setting, data)
        scores = picture_scores(METHODS[method](setting, data), data)
        with atomic_path(rows) as scratch:
            scores.assign(**setting._asdict(), method=method).to_csv(scratch, index=False)
        print(f"{setting.name} {method}: top-1 {100 * scores['top1'].mean():.1f} %", flush=True)


def scores_table(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean ± standard deviation over seeds of each method in each setting."""
    title, factor = METRICS[metric]
    means = factor * table.groupby([*KEYS, "method", "seed"])[metric].mean()
    digits = 1 if factor == 100 else 3
    text = means.groupby([*KEYS, "method"]).agg(lambda x: f"{x.mean():.{digits}f} ± {x.std():.{digits}f}")
    methods = [name for name in METHODS if name in table["method"].unique()]
    return text.unstack("method")[methods].rename_axis(columns=title)


def differences_table(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Network less others on the same pictures, with 95 % intervals; seeds are drawn first, then pictures."""
    title, factor = METRICS[metric]
    rows = []
    for key, group in table.groupby(KEYS):
        scores = group.pivot(index=["seed", "eeg_image"], columns="method", values=metric) * factor
        best = max(LINEAR, key=lambda name: scores[name].mean())
        row = dict(zip(KEYS, key, strict=True)) | {"best linear": best}
        for name in ("best linear", *OTHERS):
            gain = scores["network"] - scores[best if name == "best linear" else name]
            low, high = hierarchical_interval([part.to_numpy() for _, part in gain.groupby("seed")])
            digits = 1 if factor == 100 else 3
            row[f"− {name}"] = f"{gain.mean():+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
        rows.append(row)
    return pd.DataFrame(rows).set_index(KEYS).rename_axis(columns=title)


def hierarchical_interval(values: list[np.ndarray]) -> tuple[float, float]:
    """Bootstrap a mean's 95 % percentile interval, over seeds, each with data of its own, then pictures."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(values), size=(N_RESAMPLES, len(values)))
    means = np.empty(drawn.shape)
    for seed, own in enumerate(values):
        slots = drawn == seed  # a seed that is drawn twice has its pictures drawn twice, too
        means[slots] = own[rng.integers(len(own), size=(slots.sum(), len(own)))].mean(axis=1)
    low, high = np.quantile(means.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown, its index first."""
    table = table.reset_index()
    lines = [[*map(str, table.columns)], ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Compute what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=DEFAULT_METHODS, choices=METHODS)
    parser.add_argument("--snrs", type=float, nargs="+", default=SNRS)
    parser.add_argument("--pairs", type=int, nargs="+", default=PAIR_COUNTS)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    grid = product(arguments.snrs, arguments.pairs, RELATIONS, arguments.seeds)
    run_all(arguments.folder, [Setting(*values) for values in grid], arguments.methods)
    table = pd.concat(map(pd.read_csv, sorted((arguments.folder / "rows").glob("*.csv"))))
    table.insert(0, "relation", np.where(table.pop("nonlinear"), "not linear", "linear"))
    table.to_csv(arguments.folder / "recovery.csv", index=False)
    for metric in METRICS:
        print(f"\n{METRICS[metric][0]}\n\n{markdown(scores_table(table, metric))}")
        if {*LINEAR, *OTHERS, "network"} <= set(table["method"]):
            print(f"\nNetwork less others\n\n{markdown(differences_table(table, metric))}")


if __name__ == "__main__":
    main()
