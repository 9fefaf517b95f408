"""What predictions find of fMRI beyond what the CLIP features of the seen picture say of it."""

import numpy as np

from brain2image.evaluation.metrics import rank_scores, ranks, similarity_matrix
from brain2image.evaluation.statistics import permutation_p


def score_beyond_pictures(
    predictions: np.ndarray, targets: np.ndarray, expected: np.ndarray, orders: np.ndarray
) -> dict[str, float]:
    """Score how predictions find targets after what pictures explain was taken off both.

    The partner of a look-alike pair is chosen by CLIP alone, so that beyond the CLIP features of the seen
    picture its fMRI holds nothing that the EEG could know: the score should be at chance. It is above where
    one picture was shown to both, where CLIP features are a noisy account of what pictures share, or where
    answers leaked.

    Parameters
    ----------
    predictions, targets, expected : (n_pairs, n_features) float32: a run's predictions, what was measured,
        and what the picture encoder predicts of the EEG's pictures.
    orders : (n_permutations, n_pairs) int64 of `statistics.shuffle_answers`.

    Returns
    -------
    two_way : share of other pictures that are farther from the prediction than the right one; chance is 0.5.
    p : of as good a score by chance.
    """
    rest = [_residual(rows, expected) for rows in (predictions, targets)]
    table = rank_scores(ranks(similarity_matrix(*rest)), len(targets))["two_way"]
    value = float(np.diag(table).mean())
    shuffled = table[np.arange(len(table)), orders].mean(axis=1)
    return {"two_way": value, "p": permutation_p(value, shuffled, larger_is_better=True)}


def _residual(rows: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Take off what is expected, times the factor that leaves least; both about their means over pictures."""
    rows, expected = (part - part.mean(axis=0) for part in (rows, expected))
    power = np.vdot(expected, expected)
    return rows - (np.vdot(rows, expected) / power if power else 0) * expected
