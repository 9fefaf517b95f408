"""Networks against baselines, picture by picture."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from brain2image.constants.brain_names import divide_brains
from brain2image.constants.predictors import ORACLES
from brain2image.evaluation.scores import PER_IMAGE
from brain2image.evaluation.statistics import (
    Crossed,
    crossed_test,
    holm,
    interval,
    sign_flip_floor,
    sign_flip_p,
)
from brain2image.formats.tables import COMPARISONS

ALL_BRAINS = "all"
FACTORS = ("eeg", "fmri", "seed", "concept")  # that are crossed
Scores = Mapping[str, np.ndarray]  # of each pair of brains, (n_seeds, n_pairs) float64


def compare(
    predictors: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    *,
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Compare networks with baselines that learned from the same people, picture by picture of the test.

    A difference is to hold for other concepts, for training again where there are several seeds, and in the
    rows of brains ``all`` for other EEG and fMRI people where there are several. Over concepts alone: a BCa
    interval, and signs flipped by whole concepts for p. Over several of these, which are crossed:
    `statistics.crossed_test`.

    Parameters
    ----------
    predictors : brains, run and seed (None: a baseline or an oracle) of each of ``metrics``.
    metrics : what `scores.evaluate` returned.
    n_permutations, seed : of the sign flips and the bootstrap.

    Returns
    -------
    Table of `tables.COMPARISONS`; p is two-sided, p_floor the smallest that sign flips of so many concepts
    can give (NaN where p comes from no flips), p_holm holds for all rows of the same brains and metric
    together. No interval where all concepts differ alike. Left out are oracles, and runs that have the same
    answer for every picture everywhere, whose ranks are those of chance by definition: to be above them says
    nothing. Nor is a network that learned from other people compared with a baseline of the person's own
    EEG, or one that was calibrated with one that was not: they had other data. Runs that learned from CLIP
    features are held against other targets, and so compared with nothing.
    """
    scores, concepts = picture_scores(predictors, metrics)
    varying = {
        p["run"]
        for p, content in zip(predictors, metrics, strict=True)
        if not (content["is_constant"] or content["is_field"])
    }
    is_network = {p["run"]: p["seed"] is not None for p in predictors if p["run"] in varying - ORACLES}
    networks = [run for run in is_network if is_network[run]]
    baselines = [run for run in is_network if not is_network[run]]
    learned = {p["run"]: _learned(content) for p, content in zip(predictors, metrics, strict=True)}
    alike = [pair for pair in product(networks, baselines) if learned[pair[0]] == learned[pair[1]]]
    rows = []
    for (run, baseline), metric in product(alike, PER_IMAGE):
        differences = {
            brains: scores[brains, run, metric] - scores[brains, baseline, metric] for brains in concepts
        }
        samples = {brains: {brains: own} for brains, own in differences.items()}
        samples |= {ALL_BRAINS: differences} if len(differences) > 1 else {}
        for brains, sample in samples.items():
            tested = _test(crossed_rows(sample, concepts), n_permutations=n_permutations, seed=seed)
            rows.append({"brains": brains, "run": run, "baseline": baseline, "metric": metric, **tested})
    table = pd.DataFrame(rows, columns=COMPARISONS)
    table["p_holm"] = table.groupby(["brains", "metric"])["p"].transform(lambda p: holm(p.to_numpy()))
    return table


def _learned(content: Mapping[str, Any]) -> tuple[str, int | None]:
    """Return whose EEG was learned from, and the number of pictures of a calibration."""
    calibration = content["calibration"]
    return content["people"], calibration and calibration["n_pictures"]


def picture_scores(
    predictors: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]]
) -> tuple[dict[tuple[str, str, str], np.ndarray], dict[str, list[str]]]:
    """Collect the scores of each test picture, and its concept.

    Parameters
    ----------
    predictors, metrics : see `compare`.

    Returns
    -------
    Scores (n_seeds, n_pairs) float64 by brains, run and metric; the concepts of the pictures by brains.
    """
    seeds: dict[tuple[str, str, str], list[list[float]]] = {}
    concepts = {}
    for predictor, content in zip(predictors, metrics, strict=True):
        concepts[predictor["brains"]] = content["per_image"]["concept"]
        for metric in PER_IMAGE:
            key = (predictor["brains"], predictor["run"], metric)
            seeds.setdefault(key, []).append(content["per_image"][metric])
    return {key: np.array(values) for key, values in seeds.items()}, concepts


def crossed_rows(scores: Scores, concepts: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Make one row a pair of brains, seed and picture: value, weight, and the columns of `FACTORS`.

    Weights sum to 1, the same for each pair of brains, whatever the number of its pictures.

    Parameters
    ----------
    scores : of each pair of brains.
    concepts : of the pictures of each.
    """
    parts = []
    for brains, own in scores.items():
        person, subjects = divide_brains(brains)
        n_seeds, n_pairs = own.shape
        columns = {
            "value": own.ravel(),
            "weight": 1 / (len(scores) * own.size),
            "eeg": person,
            "fmri": subjects,
            "seed": np.repeat(np.arange(n_seeds), n_pairs),
            "concept": np.tile(np.array(concepts[brains]), n_seeds),
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def crossed(rows: pd.DataFrame) -> Crossed | None:
    """Compare the mean of the rows of `crossed_rows` with zero, see `statistics.crossed_test`."""
    factors = [pd.factorize(rows[name])[0] for name in FACTORS]
    return crossed_test(rows["value"].to_numpy(), rows["weight"].to_numpy(), factors)


def _test(rows: pd.DataFrame, *, n_permutations: int, seed: int) -> dict[str, float | None]:
    """Return difference, low, high, p and p_floor of the rows of `crossed_rows`."""
    values, weights = (rows[name].to_numpy() for name in ("value", "weight"))
    difference = float(weights @ values)
    if (rows[list(FACTORS[:-1])].nunique() > 1).any():
        tested = crossed(rows)
        if tested is not None:
            return {"difference": difference, **tested._asdict(), "p_floor": np.nan}
    concepts = pd.factorize(rows["concept"])[0]
    low, high = interval(values, concepts, reduce=np.mean, seed=seed) or (None, None)
    sums = np.bincount(concepts, weights=values)
    p = sign_flip_p(sums, n_permutations=n_permutations, seed=seed)
    floor = sign_flip_floor(len(sums), n_permutations=n_permutations)
    return {"difference": difference, "low": low, "high": high, "p": p, "p_floor": floor}
