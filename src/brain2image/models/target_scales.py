"""Mean and scale by which the fMRI embeddings are standardised."""

import numpy as np

from brain2image.core.errors import InputError


def fit_scales(targets: np.ndarray, *, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of the training embeddings, both (n_features,) float64 in embedding units.

    Parameters
    ----------
    targets : (n_pairs, n_features) float32, in embedding units.
    scale : ``common``, the root mean square over all features of their standard deviations, for every
        feature; ``per_feature``, each its own, but at least a hundredth of the common one, lest a feature
        that hardly varies over the training pairs rule the loss.

    Raises
    ------
    InputError
        When all targets are the same.
    """
    mean, variance = targets.mean(axis=0, dtype=np.float64), targets.var(axis=0, dtype=np.float64)
    common = np.sqrt(variance.mean())
    if not common > 0:
        raise InputError("training: expected fMRI embeddings that differ, got one and the same for all pairs")
    scales = {
        "common": np.full_like(variance, common),
        "per_feature": np.sqrt(variance).clip(min=common / 100),
    }
    return mean, scales[scale]
