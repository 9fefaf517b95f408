"""Networks against baselines, picture by picture."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from brain2image.constants.predictors import ORACLES
from brain2image.evaluation.scores import PER_IMAGE
from brain2image.evaluation.statistics import (
    hierarchical_interval,
    holm,
    interval,
    sign_flip_floor,
    sign_flip_p,
)
from brain2image.formats.tables import COMPARISONS

ALL_BRAINS = "all"


def compare(
    predictors: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    *,
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Compare every network with every baseline in what they score on the same test pictures.

    Within a pair of brains the pictures are the sample: BCa interval and sign-flip test over pictures. With
    several pairs of brains the rows of brains ``all`` generalise to others: brains and pictures are resampled
    for the interval, and the signs of the brains' mean differences are flipped for p.

    Parameters
    ----------
    predictors : brains, run and seed (None: a baseline or an oracle) of each of ``metrics``.
    metrics : what `scores.evaluate` returned.
    n_permutations, seed : of the sign flips and the bootstrap.

    Returns
    -------
    Table of `tables.COMPARISONS`; seeds of a run are averaged first, p is two-sided, p_floor the smallest
    that so many differences can give, p_holm holds for all rows of the same brains and metric together. No
    interval where all pictures differ alike. Left out are oracles, and runs that have the same answer for
    every picture everywhere, whose ranks are those of chance by definition: to be above them says nothing.
    """
    scores = _scores(predictors, metrics)
    varying = {p["run"] for p, content in zip(predictors, metrics, strict=True) if not content["is_constant"]}
    is_network = {p["run"]: p["seed"] is not None for p in predictors if p["run"] in varying - ORACLES}
    networks = [run for run in is_network if is_network[run]]
    baselines = [run for run in is_network if not is_network[run]]
    all_brains = list(dict.fromkeys(predictor["brains"] for predictor in predictors))
    options = {"n_permutations": n_permutations, "seed": seed}
    rows = []
    for run, baseline, metric in product(networks, baselines, PER_IMAGE):
        names = {"run": run, "baseline": baseline, "metric": metric}
        differences = [
            scores[brains, run, metric] - scores[brains, baseline, metric] for brains in all_brains
        ]
        for brains, own in zip(all_brains, differences, strict=True):
            bounds = interval(own, reduce=np.mean, seed=seed)
            rows.append({"brains": brains, **names, **_row(own, bounds, **options)})
        if len(all_brains) > 1:
            means = np.array([own.mean() for own in differences])
            bounds = hierarchical_interval(differences, seed=seed)
            rows.append({"brains": ALL_BRAINS, **names, **_row(means, bounds, **options)})
    table = pd.DataFrame(rows, columns=COMPARISONS)
    table["p_holm"] = table.groupby(["brains", "metric"])["p"].transform(lambda p: holm(p.to_numpy()))
    return table


def _scores(
    predictors: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str, str], np.ndarray]:
    """Return the score of each picture, the mean over seeds, by brains, run and metric."""
    seeds: dict[tuple[str, str, str], list[list[float]]] = {}
    for predictor, content in zip(predictors, metrics, strict=True):
        for metric in PER_IMAGE:
            key = (predictor["brains"], predictor["run"], metric)
            seeds.setdefault(key, []).append(content["per_image"][metric])
    return {key: np.mean(values, axis=0) for key, values in seeds.items()}


def _row(
    differences: np.ndarray, bounds: tuple[float, float] | None, *, n_permutations: int, seed: int
) -> dict[str, float | None]:
    low, high = bounds or (None, None)
    p = sign_flip_p(differences, n_permutations=n_permutations, seed=seed)
    floor = sign_flip_floor(len(differences), n_permutations=n_permutations)
    return {"difference": float(differences.mean()), "low": low, "high": high, "p": p, "p_floor": floor}
