"""What is learned from a person's own EEG, from other people's, from everybody's, and after a calibration.

    python benchmarks/people.py FOLDER [--seeds 0] [--snrs 0.1 0.3] [--methods "path own" ...]

Six people who saw the same 2,000 pictures, each with a head of their own (`people_data`), EEG whitened by
each person's own trials, which needs no labels. ``own`` learns from the person that is tested,
``others`` from the five others, ``all`` from all six, and ``others + 32`` is ``others`` fitted to that person
by 32 pictures. The network is that of `recovery`, with as many steps whoever is learned from; ``path`` is its
linear path alone. No default was chosen by seed 0, which the tables show: what was tried is chosen by
``--seeds 10 11``.

Each result is a file in FOLDER/rows, a trained run a folder in FOLDER/runs, and what stands there is not
computed again: a killed run goes on where it was. FOLDER/people.csv gets a row a test picture; Markdown
tables are printed, of whatever is there.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from people_data import N_PEOPLE, write_people
from recovery import MODEL, OUTPUTS, PATH, RATES, TEMPERATURE, WINDOW, markdown, picture_scores
from recovery_data import NSD_SUBJECT, Setting, read_clip

from brain2image.config import RunConfig
from brain2image.core.atomic import atomic_path
from brain2image.evaluation.baselines.base import Training, read_training
from brain2image.evaluation.baselines.fitting import BASELINES, hear_person, read_scanned
from brain2image.evaluation.statistics import crossed_test, permutation_p, shuffle_answers
from brain2image.models.alignment import AlignmentModel
from brain2image.training.train import train
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import Predictor, mean_response
from brain2image.translation.personal import calibrate_to_training_set

RELATION = "not linear"
SNRS = (0.1, 0.3)
BRAINS = [f"things-{number:02d}_{NSD_SUBJECT}" for number in range(1, N_PEOPLE + 1)]
WHOSE = ("own", "others", "all")
# As many steps whoever is learned from.
EPOCHS = {"own": 6, "others": 1, "all": 1}
CALIBRATIONS = (8, 32, 128)
N_PERMUTATIONS = 10_000
METRICS = {"top1": ("top-1, %", 100), "mrr": ("reciprocal rank", 1)}


class Case(NamedTuple):
    """Whose test pictures are predicted, and where the data and the runs lie."""

    brains: str
    data: Path
    runs: Path
    seed: int

    @property
    def lmdb(self) -> Path:
        """Return the training set of who is tested."""
        return self.data / f"{self.brains}.lmdb"

    def learned(self, people: str) -> list[Path]:
        """List the training sets that are learned from."""
        others = [name for name in BRAINS if name != self.brains]
        names = {"own": [self.brains], "others": others, "all": BRAINS}[people]
        return [self.data / f"{name}.lmdb" for name in names]


def train_run(case: Case, name: str, people: str, model: dict[str, Any], training: dict[str, Any]) -> Path:
    """Train unless it was done; a run of all people is one for everybody. Returns the run folder."""
    folder = case.runs / name.replace(" ", "_") / ("all" if people == "all" else case.brains)
    outputs = {key: folder / file for key, file in OUTPUTS.items()}
    if not all(file.exists() for file in outputs.values()):
        options = {"epochs": EPOCHS[people], **RATES, **training, "seed": case.seed}
        run = RunConfig(people=people, model=model, training=options)
        folder.mkdir(parents=True, exist_ok=True)
        train(case.learned(people), run=run, weights=None, code="", state=folder / "state", **outputs)
    return folder


def load_run(case: Case, folder: Path) -> Predictor:
    """Load a run for who is tested; it hears somebody whom it does not know less the mean response."""
    aligner = AlignmentModel.load(folder)
    reader = LMDBReader(case.lmdb)
    person = reader.people[0] if reader.people[0] in aligner.people else None
    response = None
    if aligner.people and person is None:
        response = mean_response(reader, reader.pictures[reader.pictures["split"] == "train"])
    return lambda pairs: aligner.predict(pairs.eeg, person, response).numpy()


def fit_run(case: Case, **options: Any) -> Predictor:
    """Train, see `train_run`."""
    return load_run(case, train_run(case, **options))


def fit_calibrated(case: Case, *, n_pictures: int, **options: Any) -> Predictor:
    """Train, and fit the run to who is tested by so many pictures."""
    run = train_run(case, **options)
    folder = run / f"calibrated_{n_pictures}"
    files = {"model": folder / "model.safetensors", "config": folder / "config.json"}
    if not files["config"].exists():
        folder.mkdir(exist_ok=True)
        calibrate_to_training_set(run, case.lmdb, n_pictures=n_pictures, **files)
    return load_run(case, folder)


def fit_baseline(case: Case, *, name: str, people: str) -> Predictor:
    """Fit a comparison model on what the network learns from."""
    learned = tuple(case.learned(people))
    predict, training = _fitted(name, learned, case.data)
    return predict if len(learned) == 1 else hear_person(predict, training, LMDBReader(case.lmdb))[0]


@lru_cache(maxsize=1)  # one of all people is fitted once
def _fitted(name: str, learned: tuple[Path, ...], data: Path) -> tuple[Predictor, Training]:
    eeg, fmri = read_clip(data)
    scanned = partial(
        read_scanned, data / "projection.h5", pd.read_parquet(data / "pairs.parquet"), eeg=eeg, fmri=fmri
    )
    training = read_training(
        learned,
        eeg,
        targets="predicted",
        pictures="all",
        window=WINDOW,
        temperature=TEMPERATURE,
        read_scanned=scanned,
    )
    return BASELINES[name](training), training


def _runs(name: str, model: dict[str, Any], training: dict[str, Any] | None = None) -> dict[str, Any]:
    options = {"model": model, "training": training or {}}
    methods: dict[str, Any] = {}
    for people in WHOSE:
        own = {"name": f"{name} {people}", "people": people, **options}
        methods[own["name"]] = partial(fit_run, **own)
        for n in CALIBRATIONS if people == "others" else ():
            methods[f"{own['name']} + {n}"] = partial(fit_calibrated, n_pictures=n, **own)
    return methods


def _option(name: str, people: str, model: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    return {name: partial(fit_run, name=name, people=people, model=model, training=training)}


METHODS: dict[str, Callable[[Case], Predictor]] = {
    **_runs("path", PATH),
    **{
        f"{name} {people}": partial(fit_baseline, name=name, people=people)
        for name, people in product(("ridge", "two_step"), WHOSE)
    },
    **_option("path others, not whitened", "others", PATH, {}),
    **_runs("network", MODEL),
    **_option("network all, person_layer scale", "all", MODEL | {"person_layer": "scale"}, {}),
    **_option("network all, person_layer none", "all", MODEL | {"person_layer": "none"}, {}),
    **_option("network all, negatives person", "all", MODEL, {"negatives": "person"}),
}


def data_folder(folder: Path, setting: Setting, *, whiten: bool) -> Path:
    """Return where the people's data lie, which are written unless they were."""
    data = folder / "data" / f"{setting.name}_{'whitened' if whiten else 'uV'}"
    if not (data / "done").exists():
        write_people(data, snr=setting.snr, seed=setting.seed, relation=setting.relation, whiten=whiten)
        (data / "done").touch()
    return data


def run_all(folder: Path, settings: Sequence[Setting], methods: Sequence[str]) -> None:
    """Compute what is missing."""
    for setting, method, brains in product(settings, methods, BRAINS):
        rows = folder / "rows" / f"{setting.name}_{method.replace(' ', '_')}_{brains}.csv"
        if rows.exists():
            continue
        data = data_folder(folder, setting, whiten="not whitened" not in method)
        case = Case(brains, data, folder / "runs" / setting.name, setting.seed)
        scores = picture_scores(METHODS[method](case), case.lmdb)
        with atomic_path(rows) as scratch:
            scores.assign(**setting._asdict(), method=method, brains=brains).to_csv(scratch, index=False)
        print(f"{setting.name} {method} {brains}: top-1 {100 * scores['top1'].mean():.1f} %", flush=True)


def scores_table(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Score each method, a column a person, and the mean over people last."""
    _, factor = METRICS[metric]
    means = factor * table.pivot_table(index="method", columns="brains", values=metric)
    means["mean"] = means.mean(axis=1)
    digits = 1 if factor == 100 else 3
    return means.reindex(_listed(table)).map(lambda value: f"{value:.{digits}f}")


def chance_table(table: pd.DataFrame) -> pd.DataFrame:
    """Test top-1 of each person against chance: p of answers shuffled among whole concepts."""
    methods = [name for name in _listed(table) if " others" in name]
    found = {
        (method, brains): _chance_p(rows)
        for (method, brains), rows in table[table["method"].isin(methods)].groupby(["method", "brains"])
    }
    return pd.Series(found).unstack().reindex(methods).map(lambda p: f"{p:.4f}")


def _chance_p(rows: pd.DataFrame) -> float:
    """Return p; seeds stand one after the other, and a picture is taken for one of the same seed's."""
    shuffled = np.zeros(N_PERMUTATIONS)
    for _, own in rows.groupby("seed"):
        orders = _shuffles(tuple(pd.factorize(own["concept"])[0]))
        shuffled += (orders == own["nearest"].to_numpy()).sum(axis=1)
    return permutation_p(rows["top1"].sum(), shuffled, larger_is_better=True)


@cache
def _shuffles(concepts: tuple[int, ...]) -> np.ndarray:
    return shuffle_answers(np.array(concepts), n_permutations=N_PERMUTATIONS, seed=0)


def differences(name: str) -> dict[str, dict[str, float]]:
    """List what is compared of a model: the weights of its methods' scores in each difference."""
    own, others, calibrated, everybody = (f"{name} {who}" for who in ("own", "others", "others + 32", "all"))
    return {
        f"{others} - own": {others: 1, own: -1},
        f"{everybody} - own": {everybody: 1, own: -1},
        f"{calibrated} - others": {calibrated: 1, others: -1},
        f"{calibrated} - half way from others to own": {calibrated: 1, others: -0.5, own: -0.5},
    }


# What is taken off what, by the names of the methods.
PAIRS = [
    *((f"network {who}", f"{model} {who}") for model in ("path", "ridge", "two_step") for who in WHOSE),
    ("network others + 32", "path others + 32"),
    ("path others, not whitened", "path others"),
    *((name, name.partition(", ")[0]) for name in METHODS if name.startswith("network all, ")),
]
DIFFERENCES = {
    **{
        key: terms
        for name in ("path", "ridge", "two_step", "network")
        for key, terms in differences(name).items()
    },
    **{f"{of} - {less}": {of: 1, less: -1} for of, less in PAIRS},
}


def differences_table(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Compare methods, with 95 % intervals over people and concepts, which are crossed."""
    _, factor = METRICS[metric]
    rows = {}
    for snr, group in table.groupby("snr"):
        scores = factor * group.pivot_table(
            index=["seed", "brains", "concept", "eeg_image"], columns="method", values=metric
        )
        for key, terms in DIFFERENCES.items():
            if set(terms) <= set(scores.columns):
                gain = sum(weight * scores[name] for name, weight in terms.items()).dropna()
                rows[key, f"SNR {snr:g}"] = _with_interval(gain, digits=1 if factor == 100 else 3)
    found = pd.Series(rows).unstack() if rows else pd.DataFrame()
    return found.reindex([key for key in DIFFERENCES if key in found.index])


def _with_interval(gain: pd.Series, *, digits: int) -> str:
    index = gain.index.to_frame()
    factors = [
        pd.factorize(index["brains"])[0],
        pd.factorize(index["seed"].astype(str) + index["concept"].astype(str))[0],
        pd.factorize(index["seed"])[0],
    ]
    found = crossed_test(gain.to_numpy(), np.full(len(gain), 1 / len(gain)), factors)
    text = f"{gain.mean():+.{digits}f}"
    return f"{text} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]" if found else text


def shares_table(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the share of the gap between ``others`` and ``own`` that a calibration closes, in percent."""
    rows = {}
    means = table.groupby(["snr", "method"])[metric].mean()
    for (snr, name), n in product(product(table["snr"].unique(), ("path", "network")), CALIBRATIONS):
        wanted = [(snr, f"{name} {who}") for who in ("own", "others", f"others + {n}")]
        if all(key in means for key in wanted):
            own, others, calibrated = (means[key] for key in wanted)
            rows[f"{name} + {n}", f"SNR {snr:g}"] = f"{100 * (calibrated - others) / (own - others):.0f}"
    return pd.Series(rows).unstack() if rows else pd.DataFrame()


def _listed(table: pd.DataFrame) -> list[str]:
    return [name for name in METHODS if name in set(table["method"])]


def print_tables(table: pd.DataFrame) -> None:
    """Print all tables as Markdown."""
    for snr, group in table.groupby("snr"):
        print(f"\ntop-1, %, SNR {snr:g}\n\n{markdown(scores_table(group, 'top1'))}")
        print(f"\np of chance, SNR {snr:g}\n\n{markdown(chance_table(group))}")
    for metric, (title, _) in METRICS.items():
        print(f"\ndifferences, {title}\n\n{markdown(differences_table(table, metric))}")
        print(f"\nshare of the gap that is closed, %, by {title}\n\n{markdown(shares_table(table, metric))}")


def main() -> None:
    """Compute what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--snrs", type=float, nargs="+", default=SNRS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS, metavar="METHOD")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = [Setting(RELATION, snr, seed) for seed, snr in product(arguments.seeds, arguments.snrs)]
    run_all(arguments.folder, settings, arguments.methods)
    rows = map(pd.read_csv, sorted((arguments.folder / "rows").glob("*.csv")))
    table = pd.concat(rows)
    table.to_csv(arguments.folder / "people.csv", index=False)
    print_tables(table[table["seed"].isin(arguments.seeds)])


if __name__ == "__main__":
    main()
