"""p-values and intervals over concepts, seeds and brains.

Pictures of one concept are no independent draws: whole concepts are resampled, shuffled and flipped. They
come as ``concepts``, (n_pairs,) int64, the number of each picture's concept, 0 … n_concepts - 1 in the order
in which they first appear. Where each has one picture, all is as if pictures were drawn.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# SciPy's statistics take a second to import, so functions do: what only draws scores imports this module too.
CONFIDENCE = 0.95
N_RESAMPLES = 2000
ROUNDING = 1e-12  # of sums of equal numbers
TOLERANCE = 1e-9  # a shuffle that gives the same numbers in another order is equal, whatever the rounding


def permutation_p(observed: float, shuffled: np.ndarray, *, larger_is_better: bool) -> float:
    """Return the share of the shuffles, the observed order counted as one, that score at least as well.

    ``p = (1 + shuffles at least as good) / (1 + shuffles)`` (Phipson & Smyth, 2010, section 3).

    Parameters
    ----------
    observed : the score.
    shuffled : (n_permutations,) float64, the scores of shuffled answers.
    larger_is_better : whether the score grows with quality.
    """
    sign = 1 if larger_is_better else -1
    as_good = sign * shuffled >= sign * observed - TOLERANCE * max(1, abs(observed))
    return float((1 + as_good.sum()) / (1 + len(shuffled)))


def shuffle_answers(concepts: np.ndarray, *, n_permutations: int, seed: int) -> np.ndarray:
    """Draw shuffled answers to all queries, by whole concepts, so that what their pictures share stays.

    A concept changes places with one of as many pictures, and the pictures of a concept among each other:
    shuffles of which none is likelier than the observed order when predictions know nothing of the answers,
    whatever the sizes. A concept whose number of pictures no other has keeps its place.

    Parameters
    ----------
    concepts : number of each picture's concept.
    n_permutations, seed : of the shuffles.

    Returns
    -------
    (n_permutations, n_pairs) int64, the answer to each query.
    """
    rng = np.random.default_rng(seed)
    sizes = np.bincount(concepts)[concepts]  # pictures of each picture's concept
    by_concept = np.argsort(concepts, kind="stable")
    blocks = [by_concept[sizes[by_concept] == size].reshape(-1, size) for size in np.unique(sizes)]
    orders = np.empty((n_permutations, len(concepts)), np.int64)
    for order in orders:
        for rows in blocks:  # (n_concepts of one size, size)
            drawn = rows[rng.permutation(len(rows))]
            order[rows] = rng.permuted(drawn, axis=1) if rows.shape[1] > 1 else drawn
    return orders


def interval(
    values: np.ndarray, concepts: np.ndarray, *, reduce: Callable[..., np.ndarray], seed: int
) -> tuple[float, float] | None:
    """Bootstrap a 95 % interval over concepts: BCa for means, percentiles for medians, whose jackknife fails.

    Parameters
    ----------
    values : (n_pairs,) float64, the score of each picture.
    concepts : number of each picture's concept.
    reduce : ``np.mean`` or ``np.median`` of the pictures of all concepts that are drawn.
    seed : of the bootstrap.

    Returns
    -------
    Lower and upper bound; None where all concepts have the same mean, as resampling shows no spread then.
    """
    from scipy.stats import bootstrap

    sizes, sums = np.bincount(concepts), np.bincount(concepts, weights=values)
    if np.ptp(sums / sizes) <= ROUNDING:
        return None

    def mean(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        return sums[drawn].sum(axis=axis) / sizes[drawn].sum(axis=axis)

    def median(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        counts = np.stack([np.bincount(own, minlength=len(sizes)) for own in drawn])
        return _medians(values, counts[:, concepts])

    bounds = bootstrap(
        (np.arange(len(sizes)),),
        mean if reduce is np.mean else median,
        n_resamples=N_RESAMPLES,
        vectorized=True,
        method="BCa" if reduce is np.mean else "percentile",
        confidence_level=CONFIDENCE,
        rng=seed,
    ).confidence_interval
    return float(bounds.low), float(bounds.high)


def _medians(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the median of values (n,) that are there so often each, for every row of counts (n_rows, n)."""
    order = np.argsort(values)
    places = counts[:, order].cumsum(axis=1)
    total = places[:, -1:]
    middle = [(places > place).argmax(axis=1) for place in ((total - 1) // 2, total // 2)]
    return values[order][middle].mean(axis=0)


def share_interval(n_found: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, for n concepts that were all found or all missed."""
    from scipy.stats import binomtest

    bounds = binomtest(n_found, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(bounds.low), float(bounds.high)


def rsa_interval(
    predicted: Sequence[np.ndarray], target: np.ndarray, concepts: np.ndarray, *, seed: int
) -> tuple[float, float] | None:
    """Bootstrap a 95 % percentile interval over concepts of the mean correlation of RDMs.

    A picture that is drawn k times counts k times against every other picture and never against itself, as
    its distance of 0 to itself would look like agreement. Cells keep the ranks that they have among all
    pictures. The interval errs on the wide side, as resampling pictures overstates what pairs of them add
    (Schütt et al., eLife 2023): in simulations with 40 and 100 pictures it covered 97 to 99 %.

    Parameters
    ----------
    predicted : (n_draws, n_pairs, n_pairs) float64 of `metrics.dissimilarities`.
    target : (n_pairs, n_pairs) float64, the same of the targets.
    concepts : number of each picture's concept.
    seed : of the bootstrap.

    Returns
    -------
    Lower and upper bound, over the resamples in which no RDM is all the same; None where an RDM is all zero,
    having no structure.
    """
    if not all(matrix.any() for matrix in (*predicted, target)):
        return None
    n_concepts = concepts.max() + 1
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_concepts, np.full(n_concepts, 1 / n_concepts), N_RESAMPLES)[:, concepts]
    n_cells = np.square(counts.sum(axis=1)) - np.square(counts).sum(axis=1)

    def mean(cells: np.ndarray) -> np.ndarray:
        return np.sum(counts @ cells * counts, axis=1) / n_cells

    def variance(cells: np.ndarray) -> np.ndarray:
        own = mean(np.square(cells)) - np.square(mean(cells))
        return np.where(own > TOLERANCE, own, np.nan)

    with np.errstate(invalid="ignore"):  # of few pictures a resample may hold one twice or more, and no other
        rho = [
            (mean(matrix * target) - mean(matrix) * mean(target))
            / np.sqrt(variance(matrix) * variance(target))
            for matrix in predicted
        ]
    resampled = np.mean(rho, axis=0)
    is_known = np.isfinite(resampled)
    return _percentiles(resampled[is_known]) if is_known.any() else None


def _percentiles(resampled: np.ndarray) -> tuple[float, float]:
    edge = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [edge, 1 - edge])
    return float(low), float(high)


class Crossed(NamedTuple):
    """A mean over crossed factors: its 95 % interval, and the two-sided p of a mean of zero."""

    low: float
    high: float
    p: float


def crossed_test(values: np.ndarray, weights: np.ndarray, factors: Sequence[np.ndarray]) -> Crossed | None:
    """Compare a mean with zero, to hold for other levels of crossed factors, as people and concepts are.

    Each factor is taken as drawn by itself, the others as they are: its variance is that of the mean when its
    levels are resampled (``n / (n - 1)`` times, so that it is unbiased for few), and the variances are added.
    Noise that belongs to no factor counts once for each of the k, so that the interval errs on the wide side;
    resampling all at once (Owen, Ann. Appl. Stat. 2007) counts it ``2^k - 1`` times. Bounds and p are
    Student's t with the degrees of freedom of Satterthwaite (Biometrics 1946): few levels know little of
    their own variance, which percentiles of a bootstrap do not see.

    Parameters
    ----------
    values : (n,) float64.
    weights : (n,) float64, summing to 1.
    factors : of each the (n,) int64 numbers of the levels, 0 and so on.

    Returns
    -------
    Interval and p; None where no factor shows any spread. A factor of one level says nothing of others.
    """
    from scipy.stats import t

    mean = weights @ values
    totals = [np.bincount(levels, weights=weights * (values - mean)) for levels in factors]
    n = np.array([len(own) for own in totals if len(own) > 1])
    variances = np.array([np.square(own).sum() for own in totals if len(own) > 1]) * n / (n - 1)
    variance = variances.sum()
    if variance <= ROUNDING**2:
        return None
    df, error = variance**2 / (np.square(variances) / (n - 1)).sum(), np.sqrt(variance)
    reach = t.isf((1 - CONFIDENCE) / 2, df) * error
    return Crossed(float(mean - reach), float(mean + reach), float(2 * t.sf(abs(mean) / error, df)))


def sign_flip_p(differences: np.ndarray, *, n_permutations: int, seed: int) -> float:
    """Return the two-sided p of a mean difference of zero, the sign of each difference flipped at random.

    Parameters
    ----------
    differences : (n,) float64, a concept's sum each; all sign patterns are used where they are no more than
        ``n_permutations``.
    n_permutations, seed : of the flips.
    """
    from scipy.stats import permutation_test

    result = permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=n_permutations,
        vectorized=True,
        rng=seed,
    )
    return float(result.pvalue)


def sign_flip_floor(n: int, *, n_permutations: int) -> float:
    """Return the smallest p that `sign_flip_p` can give for ``n`` differences, all of one sign.

    Of two differences it is 0.5, whatever they are: such a p says that there are too few, and nothing else.
    """
    return min(1.0, 2 / min(2**n, n_permutations + 1))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values so that they hold for all comparisons together (Holm, 1979).

    The k-th smallest of m is multiplied by ``m - k + 1`` and is never below the one before it.

    Parameters
    ----------
    p_values : (n_comparisons,) float64.

    Returns
    -------
    (n_comparisons,) float64, at most 1, in the same order.
    """
    order = np.argsort(p_values)
    steps = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(1, np.maximum.accumulate(p_values[order] * steps))
    return adjusted[np.argsort(order)]
