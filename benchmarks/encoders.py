"""What encoders make of the same pairs with the same budget: scores, parameters, time a step and memory.

    python benchmarks/encoders.py FOLDER [--seeds 0 1] [--encoders tsconv ...] [--weights cbramod=FILE ...]

Synthetic data of `recovery_data` (17 posterior electrodes, 1,000 EEG pictures, 400 pairs), made once a seed.
Every encoder gets the same head, without the linear path beside it, and the same number of steps; `ridge` on
the same pictures stands beside them. Each result is a file in FOLDER/rows, and what stands there is not
computed again. An encoder for which --weights names a file is trained from it too. On a GPU memory is the
GPU's, on a CPU the largest of the process, which takes 0.6 GB without any encoder.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recovery import LEARNED_FROM, OUTPUTS, RATES, fit_baseline, markdown, picture_scores
from recovery_data import Setting, draw_world, record_trials, write_person, write_pictures

from brain2image.config import RunConfig
from brain2image.core.atomic import atomic_path
from brain2image.core.encoder_names import encoder_declaration
from brain2image.models.alignment import AlignmentModel
from brain2image.training.task import AlignmentTask
from brain2image.training.train import train

ENCODERS = ("cbramod", "tsconv", "atms", "mlp", "braindecode:EEGNet", "braindecode:Labram")
HEAD = {"pooling": "flatten", "hidden_size": 256, "linear_axes": 0}
BUDGET = {"epochs": 5, "batch_size": 64}
N_PICTURES = 1000
COLUMNS = {"top1": "top-1, %", "mrr": "reciprocal rank"}


def write_data(seed: int, snr: float, folder: Path) -> Path:
    """Write the data of a seed, unless they are there, and return their folder."""
    setting = Setting("linear", snr, seed)
    data = folder / "data" / setting.name
    if not (data / "data.lmdb").exists():
        world = draw_world(setting, n_eeg=N_PICTURES)
        tables = write_pictures(setting, world, data, n_folds=3)
        eeg, images = record_trials(world.things, snr=snr, seed=seed, subject="sub-01")
        write_person(data / "data.lmdb", eeg, images, tables)
    return data


def train_encoder(encoder: str, weights: str | None, seed: int, data: Path, threads: int) -> dict[str, Any]:
    """Train one run in a process of its own; return scores of pictures, parameters, time and memory."""
    torch.set_num_threads(threads)
    training = {**BUDGET, **RATES, **LEARNED_FROM["all"], "seed": seed}
    model = {"encoder": encoder, **HEAD}
    if "pretrained" in encoder_declaration(encoder).options:
        model["pretrained"] = weights is not None
    starts: list[float] = []
    AlignmentTask.on_train_batch_start = lambda *_: starts.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        outputs = {name: out / file for name, file in OUTPUTS.items()}
        run = RunConfig(model=model, training=training)
        train(data / "data.lmdb", run=run, weights=weights, code="", state=out / "state", **outputs)
        trained = AlignmentModel.load(out)
        record = json.loads(outputs["config"].read_text())["encoder"]
    scores = picture_scores(lambda pairs: trained.predict(pairs.eeg).numpy(), data / "data.lmdb")
    return {
        "scores": scores.to_dict("list"),
        "n_parameters": record["n_parameters"],
        "tensors_loaded": record["tensors_loaded"],
        # from one start to the next, so that the median leaves validation and the first step out
        "step": statistics.median(np.diff(starts)),
        "memory": peak_memory(),
    }


def peak_memory() -> float:
    """Return the largest memory so far, GB: the GPU's where there is one, else this process's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def fit_ridge(seed: int, snr: float, data: Path) -> dict[str, Any]:
    """Fit ridge regression on the same pictures."""
    predict = fit_baseline(Setting("linear", snr, seed), data, source="all", name="ridge")
    return {"scores": picture_scores(predict, data / "data.lmdb").to_dict("list")}


def run_all(folder: Path, arguments: argparse.Namespace) -> None:
    """Compute what is missing."""
    weights = dict(entry.split("=", 1) for entry in arguments.weights)
    runs = [(encoder, start) for encoder in arguments.encoders for start in ("random", "pretrained")]
    for seed in arguments.seeds:
        data = write_data(seed, arguments.snr, folder)
        jobs = {("ridge", ""): partial(fit_ridge, seed, arguments.snr, data)}
        for encoder, start in runs:
            file = weights.get(encoder) if start == "pretrained" else None
            if start == "random" or file:
                jobs[encoder, start] = partial(train_encoder, encoder, file, seed, data, arguments.threads)
        for (name, start), job in jobs.items():
            path = folder / "rows" / f"{name.replace(':', '_')}_{start or 'fit'}_{seed}.json"
            if path.exists():
                continue
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                result = pool.submit(job).result()
            with atomic_path(path) as scratch:
                scratch.write_text(json.dumps(result | {"name": name, "start": start, "seed": seed}))
            print(
                f"{name} {start} seed {seed}: top-1 {100 * np.mean(result['scores']['top1']):.1f} %",
                flush=True,
            )


def interval(scores: pd.DataFrame, metric: str, n_resamples: int = 2000) -> tuple[float, float]:
    """Bootstrap the mean over seeds, then over the concepts of each; 95 %."""
    concepts = scores.groupby(["seed", "concept"])[metric].mean()
    seeds = [own.to_numpy() for _, own in concepts.groupby("seed")]
    rng = np.random.default_rng(0)
    means = [
        np.mean(
            [rng.choice(seeds[i], len(seeds[i])).mean() for i in rng.integers(len(seeds), size=len(seeds))]
        )
        for _ in range(n_resamples)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def summarise(results: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Make one row an encoder and start, over the seeds, the best first."""
    table: dict[str, dict[str, Any]] = {}
    for key in dict.fromkeys((one["name"], one["start"]) for one in results):
        own = [one for one in results if (one["name"], one["start"]) == key]
        scores = pd.concat([pd.DataFrame(one["scores"]).assign(seed=one["seed"]) for one in own])
        row = {"": scores["top1"].mean(), "seeds": len(own)}
        for metric, title in COLUMNS.items():
            factor, digits = (100, 1) if metric == "top1" else (1, 3)
            low, high = interval(scores, metric)
            values = [factor * value for value in (scores[metric].mean(), low, high)]
            row[title] = "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*values, d=digits)
        if "step" in own[0]:
            row["parameters"] = f"{own[0]['n_parameters']:,}"
            row["a step, s"] = f"{statistics.median(one['step'] for one in own):.3f}"
            row["memory, GB"] = f"{max(one['memory'] for one in own):.1f}"
        table[f"{key[0]}, {key[1]}".removesuffix(", ")] = row
    rows = sorted(table, key=lambda name: -table[name].pop(""))
    return pd.DataFrame.from_dict({name: table[name] for name in rows}, orient="index").fillna("")


def main() -> None:
    """Compute what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--encoders", nargs="+", default=ENCODERS, metavar="ENCODER")
    parser.add_argument("--weights", nargs="*", default=[], metavar="ENCODER=FILE", help="published weights")
    parser.add_argument("--snr", type=float, default=0.3, help="of a single trial")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    run_all(arguments.folder, arguments)
    results = [json.loads(path.read_text()) for path in sorted((arguments.folder / "rows").glob("*.json"))]
    print(f"\n{markdown(summarise(results))}")


if __name__ == "__main__":
    main()
