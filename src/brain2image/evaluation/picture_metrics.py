"""How drawn pictures resemble the seen ones: the field's metrics, each with chance, interval and p.

Definitions follow src/final_evaluations.ipynb of https://github.com/MedARC-AI/MindEyeV2/blob/c184718. A
metric is a table: the score of what was drawn for picture i, if picture j had been seen. Its diagonal is what
was observed; shuffled pairings give the null.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from brain2image.core.devices import compute_device
from brain2image.core.errors import InputError
from brain2image.evaluation.metrics import ranks
from brain2image.evaluation.picture_networks import NETWORKS, as_pixels, picture_features, resize
from brain2image.evaluation.scores import Row, score_row
from brain2image.evaluation.statistics import interval, shuffle_answers

SIDE = 425  # pixels, at which pictures themselves are compared
BLOCK_IMAGES = 16
BLOCK_PAIRS = {"cpu": 2, "cuda": 64}  # whose windows are averaged at once: on a CPU they stay in its cache
GREY = (0.2125, 0.7154, 0.0721)  # shares of red, green and blue (ITU-R BT.709)
RADIUS, DEVIATION = 5, 1.5  # pixels, of the window of SSIM
C1, C2 = 0.01**2, 0.03**2
DISTANCES = ("efficientnet_b1", "swav")  # of these metrics less is better
CLIP = "clip"
SSIM, N_SSIM = "ssim", 40  # pictures whose wrong pairs are compared: a thousand would take a CPU an hour
ROUNDING = 1e-9  # of the deviation of pixels that are all the same


def correlations(drawn: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Correlate (Pearson) the features of each drawn picture with those of each seen one.

    Parameters
    ----------
    drawn, seen : (n_images, n_features) float32.

    Returns
    -------
    (n_images, n_images) float32, a row a drawn picture; 0 where features are all the same.
    """

    def standardise(values: np.ndarray) -> np.ndarray:
        centred = values - values.mean(axis=1, keepdims=True)
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)

    return standardise(drawn) @ standardise(seen).T


def pixel_correlations(drawn: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Correlate the pixels of each drawn picture with those of each seen one (PixCorr), at 425 x 425.

    A colour at a time, of which a thousand pictures take 0.72 GB.

    Parameters
    ----------
    drawn, seen : (n_images, height, width, 3) uint8.

    Returns
    -------
    (n_images, n_images) float64, a row a drawn picture; 0 where a picture is of one value.
    """
    small = [np.concatenate([pixels.numpy() for pixels in _blocks(group, "cpu")]) for group in (drawn, seen)]
    centre = [group.mean(axis=(1, 2, 3), keepdims=True) for group in small]  # near 0, sums are exact
    n_images = len(seen)
    sums, squares, products = np.zeros((2, n_images)), np.zeros((2, n_images)), np.zeros((n_images, n_images))
    for colour in range(3):
        large = [
            resize(torch.from_numpy(group[:, [colour]] - mean), SIDE).flatten(1).numpy()
            for group, mean in zip(small, centre, strict=True)
        ]
        sums += np.stack([values.sum(axis=1, dtype=np.float64) for values in large])
        squares += np.stack([np.einsum("ij,ij->i", values, values, dtype=np.float64) for values in large])
        products += large[0] @ large[1].T
    n_values = 3 * SIDE**2
    covariance = products / n_values - np.outer(*sums) / n_values**2
    spread = np.sqrt(np.outer(*np.maximum(squares / n_values - np.square(sums / n_values), 0)))
    return np.divide(covariance, spread, out=np.zeros_like(covariance), where=spread > ROUNDING)


def structural_similarities(drawn: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Compute the structural similarity (SSIM) of each drawn picture and each seen one.

    Grey, at 425 x 425, with Gaussian weights of 1.5 pixels in a window of 11, its population variances, and
    no window beyond the edge (Wang et al., IEEE Trans. Image Process. 2004, equation 13), which is what
    scikit-image 0.22 computes for the notebook. On a GPU where there is one; on a CPU a pair takes 4 ms, and
    200 pictures three minutes.

    Parameters
    ----------
    drawn, seen : (n_images, height, width, 3) uint8.

    Returns
    -------
    (n_images, n_images) float64, a row a drawn picture.
    """
    device = compute_device()
    own, others = (torch.cat([_grey(pixels) for pixels in _blocks(group, device)]) for group in (drawn, seen))
    means = [_smooth(group) for group in (own, others)]
    variances = [
        _smooth(group.square()) - mean.square() for group, mean in zip((own, others), means, strict=True)
    ]
    table = torch.zeros(len(drawn), len(seen), dtype=torch.float64, device=device)
    n_pairs = BLOCK_PAIRS[torch.device(device).type]
    for row in range(len(drawn)):
        for start in range(0, len(seen), n_pairs):
            there = slice(start, start + n_pairs)
            both = means[0][row] * means[1][there]
            covariance = _smooth(own[row] * others[there]) - both
            alike = (2 * both + C1) * (2 * covariance + C2)
            alike /= means[0][row].square() + means[1][there].square() + C1
            alike /= variances[0][row] + variances[1][there] + C2
            table[row, there] = alike.mean(dim=(1, 2, 3), dtype=torch.float64)
    return table.cpu().numpy()


def _blocks(pictures: np.ndarray, device: str) -> Iterator[Tensor]:
    for start in range(0, len(pictures), BLOCK_IMAGES):
        yield as_pixels(pictures[start : start + BLOCK_IMAGES], device)


def _grey(pixels: Tensor) -> Tensor:
    shares = torch.tensor(GREY).view(3, 1, 1).to(pixels.device)
    return (resize(pixels, SIDE) * shares).sum(dim=1, keepdim=True)


def _smooth(pictures: Tensor) -> Tensor:
    """Average (n_images, 1, height, width) over Gaussian windows that lie within; sums of shifted pictures.

    On a CPU these take a quarter of a convolution's time.
    """
    window = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / DEVIATION) ** 2)
    for axis in (-2, -1):
        n = pictures.shape[axis] - 2 * RADIUS
        smooth = torch.zeros_like(pictures.narrow(axis, 0, n))
        for start, weight in enumerate((window / window.sum()).tolist()):
            smooth.add_(pictures.narrow(axis, start, n), alpha=weight)
        pictures = smooth
    return pictures


def two_way(correlation: np.ndarray) -> np.ndarray:
    """Compute the share of all other seen pictures that a drawn one correlates less with than with its own.

    Parameters
    ----------
    correlation : (n_images, n_images) float32, a row a drawn picture.

    Returns
    -------
    (n_images, n_images) float64: the share, if each seen picture were the drawn one's own; ties count against
    it.
    """
    n_images = len(correlation)
    return (n_images - ranks(correlation)) / (n_images - 1)


def score_pictures(
    drawn: np.ndarray,
    seen: np.ndarray,
    concepts: np.ndarray,
    *,
    weights: Mapping[str, str | Path],
    clip: tuple[np.ndarray, np.ndarray] | None,
    n_permutations: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Score drawn pictures against the seen ones.

    ``pixcorr`` and ``ssim`` compare pixels. ``alexnet_2``, ``alexnet_5``, ``inception_v3`` and ``clip`` are
    two-way identification by correlated features: the share of the other seen pictures that are less alike
    than the right one (0.5 by chance). ``efficientnet_b1`` and ``swav`` are 1 less the correlation of
    features: less is better. Of several samples a picture the scores are averaged.

    Parameters
    ----------
    drawn : (n_images, n_samples, height, width, 3) uint8.
    seen : (n_images, height, width, 3) uint8; each picture once, row i that of ``drawn``.
    concepts : (n_images,) names of the pictures' concepts; whole concepts are shuffled and resampled.
    weights : files of weights by the names of `picture_networks.NETWORKS`; what is missing is not computed.
    clip : projected CLIP features of the drawn pictures (n_images, n_samples, n_features) and of the seen
        ones (n_images, n_features), float32; None where there are none.
    n_permutations, seed : of the shuffled pairings; the seed is also the bootstrap's.

    Returns
    -------
    Rows of ``metric``, ``n_images``, ``value``, ``chance`` (mean over wrong pairings), ``p``, ``low``,
    ``high`` and ``note``; of a metric that is not computed the numbers are None, and the note says why. Of
    ``ssim`` 40 pictures, drawn by the seed, give chance and p, and all of them the rest.

    Raises
    ------
    InputError
        When arrays do not fit each other, there are fewer than two pictures, or weights are of another
        network.
    """
    _check(drawn, seen, concepts, weights)
    rows = []
    numbers = pd.factorize(concepts)[0]
    options = {"n_permutations": n_permutations, "seed": seed}
    for metric, found in _tables(drawn, seen, weights, clip):
        scored = dict.fromkeys(("value", "chance", "p", "low", "high"))
        if isinstance(found, str):
            scored |= {"note": found}
        elif found is None:
            scored |= _score_ssim(drawn, seen, numbers, **options)
        else:
            scored |= {**_score(metric, found, numbers, **options), "note": ""}
        rows.append({"metric": metric, "n_images": len(seen), **scored})
    return rows


def _score(
    metric: str, table: np.ndarray, numbers: np.ndarray, *, n_permutations: int, seed: int
) -> dict[str, float | None]:
    """Score a table of all pictures; of their concepts' numbers some may be missing."""
    labels = pd.factorize(numbers)[0]
    orders = shuffle_answers(labels, n_permutations=n_permutations, seed=seed)
    wrong = ~np.eye(len(table), dtype=bool)
    row = Row("image", "both", len(table), metric, table, float(table[wrong].mean()))
    scored = score_row(row, labels, orders, seed=seed)
    return {name: scored[name] for name in ("value", "chance", "p", "low", "high")}


def _score_ssim(
    drawn: np.ndarray, seen: np.ndarray, numbers: np.ndarray, *, n_permutations: int, seed: int
) -> dict[str, Any]:
    """Score structural similarity, of which wrong pairs are as dear as right ones and most of all pairs."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(seen))[:N_SSIM])
    samples = list(drawn.swapaxes(0, 1))
    table = np.mean([structural_similarities(one[chosen], seen[chosen]) for one in samples], axis=0)
    found = _score(SSIM, table, numbers[chosen], n_permutations=n_permutations, seed=seed)
    if len(chosen) == len(seen):
        return {**found, "note": ""}
    rows = [slice(row, row + 1) for row in range(len(seen))]
    right = [[structural_similarities(one[row], seen[row]).item() for row in rows] for one in samples]
    own = np.mean(right, axis=0)
    low, high = interval(own, numbers, reduce=np.mean, seed=seed) or (None, None)
    note = f"chance and p of {N_SSIM} of the pictures"
    return {**found, "value": float(own.mean()), "low": low, "high": high, "note": note}


def _check(drawn: np.ndarray, seen: np.ndarray, concepts: np.ndarray, weights: Mapping[str, Any]) -> None:
    fits = drawn.ndim == 5 and drawn.shape[1] and len(drawn) == len(seen) == len(concepts)
    if len(seen) < 2 or not fits:
        raise InputError(
            "expected two pictures or more, drawn as (n_images, n_samples, height, width, 3), as many seen "
            f"and as many concepts, got shapes {drawn.shape} and {seen.shape} and {len(concepts)} concepts; "
            "draw one picture or more for each that was seen"
        )
    if unknown := sorted(weights.keys() - NETWORKS.keys()):
        raise InputError(f"expected weights of {', '.join(NETWORKS)}, got {unknown[0]}; correct the name")


def _tables(
    drawn: np.ndarray,
    seen: np.ndarray,
    weights: Mapping[str, str | Path],
    clip: tuple[np.ndarray, np.ndarray] | None,
) -> Iterator[tuple[str, np.ndarray | str | None]]:
    """Yield the table of each metric, the mean over samples, or why there is none; None of SSIM."""
    samples = list(drawn.swapaxes(0, 1))
    yield "pixcorr", np.mean([pixel_correlations(sample, seen) for sample in samples], axis=0)
    yield SSIM, None
    for name, network in NETWORKS.items():
        if name in weights:
            features = picture_features(name, weights[name], seen, *samples)
            for metric, (own, *others) in features.items():
                yield metric, _compare(metric, others, own)
        else:
            for metric in network.layers:
                yield metric, f"not computed: no weights of {name} ({network.file}) are named"
    if clip is None:
        yield CLIP, "not computed: there are no CLIP features of the drawn pictures"
    else:
        yield CLIP, _compare(CLIP, list(clip[0].swapaxes(0, 1)), clip[1])


def _compare(metric: str, drawn: list[np.ndarray], seen: np.ndarray) -> np.ndarray:
    tables = [correlations(sample, seen) for sample in drawn]
    return np.mean([1 - table if metric in DISTANCES else two_way(table) for table in tables], axis=0)
