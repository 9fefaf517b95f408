"""Scores of queries against a gallery of unique pictures, as tables: query i, if answer j were the right one.

A table holds the score of every query for every possible answer. Its diagonal is what was observed; the same
table with shuffled answers gives the null distribution, so both come from one computation.
"""

import numpy as np

TOP_K = (1, 5, 10)
GALLERIES = (50, 100, 200, 300)
CSLS_NEIGHBOURS = 10


def similarity_matrix(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute the cosine of each prediction with each target; 0 where one of them is a zero vector.

    Parameters
    ----------
    predictions, targets : (n_pairs, n_features) float32.

    Returns
    -------
    (n_pairs, n_pairs) float32, a row a prediction.
    """
    products = predictions @ targets.T
    lengths = np.outer(np.linalg.norm(predictions, axis=1), np.linalg.norm(targets, axis=1))
    return np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)


def squared_errors(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute the mean squared difference of each prediction and each target.

    Parameters
    ----------
    predictions, targets : (n_pairs, n_features) float32.

    Returns
    -------
    (n_pairs, n_pairs) float64, a row a prediction.
    """
    predictions, targets = predictions.astype(np.float64), targets.astype(np.float64)
    lengths = np.square(predictions).sum(1)[:, None] + np.square(targets).sum(1)
    return (lengths - 2 * predictions @ targets.T) / predictions.shape[1]


def ranks(similarity: np.ndarray) -> np.ndarray:
    """Rank each gallery item for each query, 1 the best; ties count against it.

    ``rank[i, j] = number of k with similarity[i, k] >= similarity[i, j]``

    Parameters
    ----------
    similarity : (n_queries, n_gallery) float32.

    Returns
    -------
    (n_queries, n_gallery) int64.
    """
    ascending = np.sort(similarity, axis=1)
    below = np.stack(
        [np.searchsorted(row, values) for row, values in zip(ascending, similarity, strict=True)]
    )
    return similarity.shape[1] - below


def rank_scores(rank: np.ndarray, n_gallery: int) -> dict[str, np.ndarray]:
    """Score a rank: top-k, median rank, reciprocal and percentile rank, 2-way identification.

    ``mrr = 1 / rank``, ``percentile_rank = (N - rank + 1) / N`` (share of the gallery not ranked above the
    answer), ``two_way = (N - rank) / (N - 1)`` (share of all pairs of the answer and another picture in which
    the answer is nearer).

    Parameters
    ----------
    rank : int64 of any shape, 1 the best.
    n_gallery : N, number of pictures in the gallery.

    Returns
    -------
    Arrays of the shape of ``rank``, float64.
    """
    top = {f"top{k}": (rank <= k).astype(np.float64) for k in TOP_K}
    return top | {
        "median_rank": rank.astype(np.float64),
        "mrr": 1 / rank,
        "percentile_rank": (n_gallery - rank + 1) / n_gallery,
        "two_way": (n_gallery - rank) / (n_gallery - 1),
    }


def rank_chance(n_gallery: int) -> dict[str, float]:
    """Compute the expected `rank_scores` of a random order without ties."""
    return {name: float(scores.mean()) for name, scores in rank_scores(_places(n_gallery), n_gallery).items()}


def gallery_scores(rank: np.ndarray, n_gallery: int, size: int) -> dict[str, np.ndarray]:
    """Compute the expected top-k in a random gallery of ``size`` pictures, the answer among them.

    Of the ``rank - 1`` pictures before the answer, a hypergeometric number is drawn among the ``size - 1``
    others: ``top_k = P(H(N - 1, rank - 1, size - 1) <= k - 1)``. This is the mean over all galleries, where
    sampling would add noise.

    Parameters
    ----------
    rank : int64 of any shape, rank among all ``n_gallery`` pictures.
    n_gallery : N.
    size : pictures in the smaller gallery, at most N.

    Returns
    -------
    top1, top5 and top10, each of the shape of ``rank``, float64.
    """
    from scipy.stats import hypergeom  # a second, which jobs that only draw pictures need not wait

    by_rank = {
        f"top{k}": hypergeom.cdf(k - 1, n_gallery - 1, _places(n_gallery) - 1, size - 1) for k in TOP_K
    }
    return {name: values[rank - 1] for name, values in by_rank.items()}


def _places(n_gallery: int) -> np.ndarray:
    return np.arange(1, n_gallery + 1)


def csls(similarity: np.ndarray) -> np.ndarray:
    """Subtract the mean similarity to the ten nearest neighbours, which takes hubs their advantage.

    ``2 s[i, j] - mean of the 10 largest s[i, :] - mean of the 10 largest s[:, j]`` (Conneau et al., ICLR
    2018, section 2.3). It uses all test queries at once: a transductive score.

    Parameters
    ----------
    similarity : (n_queries, n_gallery) float32.

    Returns
    -------
    (n_queries, n_gallery) float32.
    """

    def nearest(axis: int) -> np.ndarray:
        k = min(CSLS_NEIGHBOURS, similarity.shape[axis])
        return np.sort(similarity, axis=axis).take(range(-k, 0), axis=axis).mean(axis=axis, keepdims=True)

    return 2 * similarity - nearest(1) - nearest(0)


def dissimilarities(embeddings: np.ndarray) -> np.ndarray:
    """Rank the cosine distances between all pictures, standardised; the RDM that Spearman's rho compares.

    Parameters
    ----------
    embeddings : (n_pairs, n_features) float32, centred.

    Returns
    -------
    (n_pairs, n_pairs) float64, symmetric with a zero diagonal; mean 0 and mean square 1 off the diagonal, or
    all zero where the distances are all the same.
    """
    from scipy.stats import rankdata

    n_pairs = len(embeddings)
    upper = np.triu_indices(n_pairs, 1)
    rank = rankdata(1 - similarity_matrix(embeddings, embeddings)[upper].round(6))
    deviation = rank.std()
    matrix = np.zeros((n_pairs, n_pairs))
    matrix[upper] = (rank - rank.mean()) / deviation if deviation > 0 else 0
    return matrix + matrix.T


def rsa(a: np.ndarray, b: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Correlate two RDMs (Spearman) with the pictures of the second in each of several orders.

    Parameters
    ----------
    a, b : (n_pairs, n_pairs) float64 of `dissimilarities`.
    orders : (n_orders, n_pairs) int64.

    Returns
    -------
    (n_orders,) float64; 0 where one of the two has no structure.
    """
    n_cells = len(a) * (len(a) - 1)
    # rows, then columns: a third of the time of both at once
    return np.array([np.vdot(a, b.take(order, axis=0).take(order, axis=1)) / n_cells for order in orders])


def trial_level_scores(
    predictions: np.ndarray, repetitions: np.ndarray, repetition_pair: np.ndarray
) -> dict[str, tuple[float, float | None]]:
    """Score all EEG trials x fMRI repetitions, each combination a sample, as other projects do.

    The gallery holds the target of every sample, so that a target stands there once for each EEG trial, and
    only the sample's own row counts as found. With n EEG trials a picture even a perfect predictor finds
    1 / n of its rows first: equal targets are ordered at random, here by expectation.

    Parameters
    ----------
    predictions : (n_trials_per_picture, n_pairs, n_features) float32, centred, one EEG trial each.
    repetitions : (n_repetitions, n_features) float32, centred.
    repetition_pair : (n_repetitions,) int64, row of the pair.

    Returns
    -------
    mse, cosine, top1 and top10, each with its chance (None where there is none).
    """
    n_copies = len(predictions)
    n_samples = n_copies * len(repetitions)
    rank, cosines, errors = [], [], []
    for predicted in predictions:
        similarity = similarity_matrix(predicted, repetitions)[repetition_pair]
        own = np.diag(similarity)[:, None]
        rank.append([n_copies * (similarity > own).sum(1), n_copies * (similarity == own).sum(1)])
        cosines.append(own.mean(dtype=np.float64))
        errors.append(np.square(predicted[repetition_pair] - repetitions, dtype=np.float64).mean())
    better, tied = np.stack(rank, axis=1)
    found = {
        f"top{k}": (float(np.clip((k - better) / tied, 0, 1).mean()), min(1.0, k / n_samples))
        for k in (1, 10)
    }
    return found | {"mse": (float(np.mean(errors)), None), "cosine": (float(np.mean(cosines)), None)}
