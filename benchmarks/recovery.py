"""What networks, linear models and oracles recover of synthetic data, each learning from pairs or from all.

    python benchmarks/recovery.py FOLDER [--seeds 0 1 2] [--methods network ridge ...] [--part 0/2]

Many EEG pictures, fewer scanned ones, 400 pairs of both that look alike; CLIP features that carry what the
pictures show, with noise (`recovery_data`). Three relations of EEG and embedding, three signal-to-noise
ratios, three seeds. No default was chosen on the test pictures: what was tried is chosen by seeds that no
table shows (`--seeds 10 11`). Each result is a file in FOLDER/rows, and what stands there is not computed
again: a killed run goes on where it was, and ``--part 0/2`` and ``--part 1/2`` may run side by side.
FOLDER/recovery.csv gets a row a test picture; Markdown tables are printed, of whatever is there.

The network is the default run at a size that a CPU trains in minutes: one CBraMod layer with random weights,
17 electrodes, 256 features, a hidden size of 256, one pooling layer of two tokens, and few epochs at higher
rates. Of what is learned from, ``pairs`` are measured targets of 400 pairs, ``all`` predicted targets of all
pictures, ``both`` both.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from recovery_data import Relation, Setting, read_clip, write_setting
from recovery_oracles import fit_eeg_oracle, look_up

from brain2image.config import RunConfig
from brain2image.constants.predictors import CEILINGS
from brain2image.core.atomic import atomic_path
from brain2image.evaluation.baselines.base import Training, read_training
from brain2image.evaluation.baselines.fitting import BASELINES, read_scanned
from brain2image.evaluation.metrics import ranks, similarity_matrix
from brain2image.models.alignment import AlignmentModel
from brain2image.training.train import train
from brain2image.training_set.batches import Batches
from brain2image.training_set.means import Predictor, read_pairs, read_training_targets

SNRS = (0.1, 0.3, 0.8)
MODEL = {"pretrained": False, "n_layers": 1, "hidden_size": 256, "n_tokens": 2, "pooling_layers": 1}
PATH = {"pooling": "none", "hidden_size": 256}
# As many steps whatever is learned from: an epoch of all pictures is eight times as long.
EPOCHS = {"pairs": 16, "all": 3, "both": 3}
RATES = {"learning_rate": 1e-3, "backbone_learning_rate": 1e-4}
LEARNED_FROM = {
    "pairs": {"targets": "measured", "pictures": "paired"},
    "all": {"targets": "predicted", "pictures": "all"},
    "both": {"targets": "both", "pictures": "all"},
}
OUTPUTS = {
    "model": "model.safetensors",
    "config": "config.json",
    "history": "history.csv",
    "tensorboard": "tensorboard",
}
WINDOW = RunConfig().model.linear_window
TEMPERATURE = RunConfig().loss.temperature
JITTER = 4  # samples of 5 ms
MIXED = {"eeg", "target", "coordinates"}
Batch = dict[str, torch.Tensor]
Augment = Callable[[Batch, torch.Generator], Batch]
METRICS = {"top1": ("top-1, %", 100), "mrr": ("reciprocal rank", 1)}
KEYS = ["relation", "snr"]


def jitter_time(batch: Batch, rng: torch.Generator) -> Batch:
    """Move each trial by up to 20 ms; what is moved out comes in at the other end."""
    shifts = torch.randint(-JITTER, JITTER + 1, (len(batch["eeg"]),), generator=rng)
    moved = [trial.roll(int(shift), dims=1) for trial, shift in zip(batch["eeg"], shifts, strict=True)]
    return batch | {"eeg": torch.stack(moved)}


def drop_channels(batch: Batch, rng: torch.Generator) -> Batch:
    """Silence a tenth of the channels of each trial."""
    kept = torch.rand(*batch["eeg"].shape[:2], 1, generator=rng) >= 0.1
    return batch | {"eeg": batch["eeg"] * kept}


def mix_up(batch: Batch, rng: torch.Generator) -> Batch:
    """Mix each example with another one by a share of up to a half (Zhang et al., ICLR 2018)."""
    n = len(batch["eeg"])
    share, order = torch.rand(n, generator=rng) / 2, torch.randperm(n, generator=rng)
    mixed = {}
    for name in MIXED & batch.keys():
        weight = share.reshape(-1, *[1] * (batch[name].ndim - 1))
        mixed[name] = (1 - weight) * batch[name] + weight * batch[name][order]
    return batch | mixed


@contextmanager
def augmented(augment: Augment | None, seed: int) -> Iterator[None]:
    """Change every batch of the trainings meanwhile."""
    read, rng = Batches._read, torch.Generator().manual_seed(seed)
    if augment is not None:
        Batches._read = lambda self, shares: (augment(batch, rng) for batch in read(self, shares))
    try:
        yield
    finally:
        Batches._read = read


def fit_network(
    setting: Setting,
    folder: Path,
    source: str,
    model: dict[str, Any],
    training: dict[str, Any],
    augment: Augment | None = None,
) -> Predictor:
    """Train on the setting's LMDB."""
    options = {"epochs": EPOCHS[source], **RATES, **LEARNED_FROM[source], **training, "seed": setting.seed}
    run = RunConfig(model=model, training=options)
    with tempfile.TemporaryDirectory() as scratch, augmented(augment, setting.seed):
        out = Path(scratch)
        outputs = {name: out / file for name, file in OUTPUTS.items()}
        train(folder / "data.lmdb", run=run, weights=None, code="", state=out / "state", **outputs)
        trained = AlignmentModel.load(out)
    return lambda pairs: trained.predict(pairs.eeg).numpy()


def read_learned(folder: Path, source: str) -> Training:
    """Read what the network learns from, for models that are compared with it."""
    eeg, fmri = read_clip(folder)
    pairs = pd.read_parquet(folder / "pairs.parquet")
    return read_training(
        folder / "data.lmdb",
        eeg,
        **LEARNED_FROM[source],
        window=WINDOW,
        temperature=TEMPERATURE,
        read_scanned=partial(read_scanned, folder / "projection.h5", pairs, eeg=eeg, fmri=fmri),
    )


def fit_baseline(_: Setting, folder: Path, source: str, name: str) -> Predictor:
    """Fit a comparison model on what the network learns from."""
    return BASELINES[name](read_learned(folder, source))


def fit_oracle(setting: Setting, folder: Path) -> Predictor:
    """Fit a reading of the true latents, see `recovery_oracles.fit_eeg_oracle`."""
    return fit_eeg_oracle(setting, read_learned(folder, "all"))


def _networks(name: str, model: dict[str, Any], training: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        f"{name} {source}": partial(fit_network, source=source, model=model, training=training or {})
        for source in LEARNED_FROM
    }


METHODS: dict[str, Callable[[Setting, Path], Predictor]] = {
    **_networks("network", MODEL),
    **_networks("path", PATH),
    **{
        f"{name} {source}": partial(fit_baseline, source=source, name=name)
        for name in ("ridge", "kernel_ridge", "pls", "mlp")
        for source in LEARNED_FROM
    },
    "two_step_paired pairs": partial(fit_baseline, source="pairs", name="two_step_paired"),
    "two_step all": partial(fit_baseline, source="all", name="two_step"),
    "two_step_kernel all": partial(fit_baseline, source="all", name="two_step_kernel"),
    "clip_oracle all": partial(fit_baseline, source="all", name="clip_oracle"),
    "eeg_oracle all": fit_oracle,
    **{name: partial(look_up, name=name) for name in CEILINGS},
}
ORACLES = ("clip_oracle all", "eeg_oracle all", *CEILINGS)
TRIED: dict[str, tuple[dict[str, Any], dict[str, Any], Augment | None]] = {
    "every sample": (MODEL | {"linear_window": 0.0}, {}, None),
    "EMA": (MODEL, {"ema_decay": 0.99}, None),
    "batches of 256": (MODEL, {"batch_size": 256}, None),
    "measured targets count 10": (MODEL, {"measured_weight": 10.0, **LEARNED_FROM["both"]}, None),
    "no linear path": (MODEL | {"linear_axes": 0}, {}, None),
    "time jitter": (MODEL, {}, jitter_time),
    "channel dropout": (MODEL, {}, drop_channels),
    "mixup": (MODEL, {}, mix_up),
}
METHODS |= {
    f"network all, {name}": partial(
        fit_network, source="all", model=model, training=training, augment=augment
    )
    for name, (model, training, augment) in TRIED.items()
}
DEFAULT_METHODS = [name for name in METHODS if ", " not in name]


def picture_scores(predict: Predictor, lmdb: Path) -> pd.DataFrame:
    """Score each test picture as `evaluation.evaluate` does; ``nearest`` is the row of what wins."""
    mean = read_training_targets(lmdb).mean(axis=0)
    test = read_pairs(lmdb, "test")
    similarity = similarity_matrix(predict(test) - mean, test.targets - mean)
    rank = np.diag(ranks(similarity))
    return pd.DataFrame(
        {
            "eeg_image": test.table["eeg_image"],
            "concept": test.table["concept"],
            "top1": (rank == 1).astype(float),
            "mrr": 1 / rank,
            "nearest": similarity.argmax(axis=1),
        }
    )


def run_all(folder: Path, settings: Sequence[Setting], methods: Sequence[str], *, keep: bool) -> None:
    """Compute what is missing; the data of a setting are removed after its last method."""
    for setting in settings:
        data = folder / "data" / setting.name
        for method in methods:
            rows = folder / "rows" / f"{setting.name}_{method.replace(' ', '_')}.csv"
            if rows.exists():
                continue
            if not (data / "data.lmdb").exists():
                write_setting(setting, data)
            scores = picture_scores(METHODS[method](setting, data), data / "data.lmdb")
            with atomic_path(rows) as scratch:
                scores.assign(**setting._asdict(), method=method).to_csv(scratch, index=False)
            print(f"{setting.name} {method}: top-1 {100 * scores['top1'].mean():.1f} %", flush=True)
        if not keep:
            shutil.rmtree(data, ignore_errors=True)


def scores_table(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean ± standard deviation over seeds, a row a method, a column a setting."""
    _, factor = METRICS[metric]
    means = factor * table.groupby([*KEYS, "method", "seed"])[metric].mean()
    digits = 1 if factor == 100 else 3
    text = means.groupby([*KEYS, "method"]).agg(lambda x: f"{x.mean():.{digits}f} ± {x.std():.{digits}f}")
    methods = [name for name in METHODS if name in table["method"].unique()]
    return text.unstack(KEYS).loc[methods].fillna("–")


def differences_table(table: pd.DataFrame, metric: str, of: str) -> pd.DataFrame:
    """One method less others that learn from all pictures, with 95 % intervals over seeds and concepts."""
    _, factor = METRICS[metric]
    others = [
        name
        for name in METHODS
        if name in set(table["method"]) and name.endswith((" all", " both")) and name not in (of, *ORACLES)
    ]
    rows = {}
    for key, group in table.groupby(KEYS):
        scores = group.pivot(index=["seed", "concept", "eeg_image"], columns="method", values=metric) * factor
        for name in scores.columns.intersection(others) if of in scores else ():
            gain = (scores[of] - scores[name]).groupby(["seed", "concept"]).mean().unstack("concept")
            low, high = _interval(gain.dropna(how="all").to_numpy())
            digits = 1 if factor == 100 else 3
            rows[name, key] = f"{np.nanmean(gain):+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
    return pd.Series(rows).unstack().fillna("–")


def _interval(gains: np.ndarray, n_resamples: int = 2000) -> tuple[float, float]:
    """Bootstrap the mean over seeds (whose pictures are their own), then over the concepts of each."""
    rng = np.random.default_rng(0)
    means = np.empty(n_resamples)
    for number in range(n_resamples):
        seeds = rng.integers(len(gains), size=len(gains))
        drawn = [row[~np.isnan(row)] for row in gains[seeds]]
        means[number] = np.mean([row[rng.integers(len(row), size=len(row))].mean() for row in drawn])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def markdown(table: pd.DataFrame) -> str:
    """Write a table as Markdown, its index first."""
    titles = [" ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in table.columns]
    lines = [["", *titles], ["---"] * (1 + len(titles))]
    lines += [[str(name), *map(str, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Compute what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=DEFAULT_METHODS, choices=METHODS, metavar="METHOD")
    parser.add_argument("--relations", nargs="+", default=get_args(Relation), choices=get_args(Relation))
    parser.add_argument("--snrs", type=float, nargs="+", default=SNRS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", default="0/1", help="which settings, as 0/2 and 1/2 in two processes")
    parser.add_argument("--keep", action="store_true", help="keep the data of the settings")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    number, n_parts = map(int, arguments.part.split("/"))
    grid = product(arguments.seeds, arguments.relations, arguments.snrs)
    settings = [Setting(relation, snr, seed) for seed, relation, snr in grid]
    run_all(arguments.folder, settings[number::n_parts], arguments.methods, keep=arguments.keep)
    table = pd.concat(map(pd.read_csv, sorted((arguments.folder / "rows").glob("*.csv"))))
    table.to_csv(arguments.folder / "recovery.csv", index=False)
    for metric, (title, _) in METRICS.items():
        print(f"\n{title}\n\n{markdown(scores_table(table, metric))}")
        for of in ("network all", "path all"):
            if of in set(table["method"]):
                print(f"\n{of} less others, {title}\n\n{markdown(differences_table(table, metric, of))}")


if __name__ == "__main__":
    main()
