"""Comparison models that any EEG encoder must beat, each fitted on the training pairs in one call."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from himalaya.kernel_ridge import KernelRidgeCV
from scipy.spatial.distance import pdist
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold

from brain2image.errors import InputError
from brain2image.matching import unit_rows
from brain2image.models.linear import Encoder, LinearModel, Standardised
from brain2image.queries import Pairs, Predictor

# Strength of the penalty on a kernel that is scaled to unit mean diagonal; the inner folds choose.
ALPHAS = np.logspace(-3, 5, 17)
PLS_COMPONENTS = (1, 2, 4, 8, 16, 32)
PLS_TOLERANCE = 1e-4  # of a squared unit vector; noise has no leading direction that could be found better
N_FOLDS = 5
MLP_EPOCHS, MLP_BATCH, MLP_RATE, MLP_DECAY, MLP_TEMPERATURE = 60, 64, 3e-4, 0.05, 0.07


class Training(NamedTuple):
    """What a baseline may learn from."""

    pairs: Pairs  # the training pairs
    concepts: np.ndarray  # (n_pairs,) of any type, the THINGS concept; no inner fold shares one with another
    clip: np.ndarray  # (n_images, n_clip_features) float32, CLIP embedding of every THINGS picture
    eeg_scale: float  # factor from the EEG's stored unit to CBraMod's range
    cbramod: str | Path | None  # CBraMod's published weights, where the baseline takes them


def fit_mean_target(training: Training) -> Predictor:
    """The mean training target for every query; the MSE that a use of the EEG must undercut."""
    mean = training.pairs.targets.mean(axis=0)
    return lambda pairs: np.tile(mean, (len(pairs.eeg), 1))


def fit_nearest_image(training: Training) -> Predictor:
    """The target of the training picture whose EEG has the highest cosine with the query's."""
    encode = eeg_encoder(training)
    seen = unit_rows(encode(training.pairs))
    return lambda pairs: training.pairs.targets[(unit_rows(encode(pairs)) @ seen.T).argmax(axis=1)]


def fit_ridge(training: Training) -> LinearModel:
    """Linear regression of the target on the EEG, ``argmin_B ||Y - X B||^2 + alpha ||B||^2``."""
    encode = eeg_encoder(training)
    return encode.model(*_ridge_weights(encode(training.pairs), training.pairs.targets, training.concepts))


def fit_kernel_ridge(training: Training) -> Predictor:
    """Ridge regression with an RBF kernel, ``exp(-gamma d^2)``, gamma the inverse median of d^2."""
    encode = eeg_encoder(training)
    gamma = 1 / np.median(pdist(encode(training.pairs), "sqeuclidean"))
    return _after(encode, training, kernel="rbf", kernel_params={"gamma": gamma})


def fit_pls(training: Training) -> LinearModel:
    """Partial least squares; the number of components, which regularises it, has the least inner error.

    Components are nested, so one fit a fold gives all numbers. Before, EEG and targets are rotated to their
    principal axes, which changes nothing but the size of the problem.
    """
    encode = eeg_encoder(training)
    x, y = (PCA(svd_solver="full").fit(part) for part in (encode(training.pairs), training.pairs.targets))
    inputs, outputs = x.transform(encode(training.pairs)), y.transform(training.pairs.targets)
    splits = inner_folds(training.concepts)
    most = min(inputs.shape[1], outputs.shape[1], min(len(train) for train, _ in splits) - 1)
    numbers = [number for number in PLS_COMPONENTS if number <= most]
    errors = np.zeros(len(numbers))
    for train, test in splits:
        fold = _PLS.fit(inputs[train], outputs[train], numbers[-1])
        errors += [np.square(fold.predict(inputs[test], number) - outputs[test]).sum() for number in numbers]
    best = numbers[int(errors.argmin())]
    model = _PLS.fit(inputs, outputs, best)
    weight = x.components_.T @ model.rotations
    offset = -(x.mean_ @ x.components_.T + model.mean) @ model.rotations
    return encode.model(
        weight, offset, (model.loadings.T @ y.components_, model.offset @ y.components_ + y.mean_)
    )


class _PLS(NamedTuple):
    """``(x - mean) @ rotations[:, :n] @ loadings[:, :n].T + offset`` for any number n of components."""

    mean: np.ndarray
    rotations: np.ndarray
    loadings: np.ndarray
    offset: np.ndarray

    @classmethod
    def fit(cls, inputs: np.ndarray, outputs: np.ndarray, n_components: int) -> "_PLS":
        model = PLSRegression(n_components, scale=False, tol=PLS_TOLERANCE).fit(inputs, outputs)
        return cls(inputs.mean(axis=0), model.x_rotations_, model.y_loadings_, outputs.mean(axis=0))

    def predict(self, x: np.ndarray, n: int) -> np.ndarray:
        return (x - self.mean) @ self.rotations[:, :n] @ self.loadings[:, :n].T + self.offset


def fit_two_step(training: Training) -> LinearModel:
    """EEG to CLIP features, then CLIP features to the target: what picture features alone explain.

    Both steps are ridge regressions; the second is fitted on the true features of the training pictures.
    """
    encode, features = eeg_encoder(training), clip_encoder(training)(training.pairs)
    to_clip = _ridge_weights(encode(training.pairs), features, training.concepts)
    return encode.model(*to_clip, _ridge_weights(features, training.pairs.targets, training.concepts))


def fit_clip_oracle(training: Training) -> Predictor:
    """The true CLIP features of the picture that was seen to the target, by ridge; no EEG, an upper bound."""
    return _after(clip_encoder(training), training, kernel="linear")


def fit_cbramod_linear(training: Training, *, pretrained: bool) -> Predictor:
    """Ridge regression on the outputs of a frozen CBraMod, with its published or with random weights."""
    import torch

    from brain2image.models.cbramod import CBraMod

    torch.manual_seed(0)
    backbone = CBraMod()
    if pretrained:
        backbone.load_pretrained(training.cbramod)
    backbone.proj_out = torch.nn.Identity()
    backbone.eval()

    @torch.no_grad()
    def encode(pairs: Pairs) -> np.ndarray:
        patches = torch.from_numpy(pairs.eeg * np.float32(training.eeg_scale)).unsqueeze(2)
        return torch.cat([backbone(batch).flatten(1) for batch in patches.split(64)]).numpy()

    return _after(_standardised(encode, training), training, kernel="linear")


def fit_mlp(training: Training) -> Predictor:
    """A linear layer and a residual block, trained by MSE and InfoNCE on the means over trials.

    The weights are those with the least loss on the first inner fold, which takes no part in the training.
    Source: the form of UBP's EEG encoder (CVPR 2025, https://arxiv.org/abs/2503.04207), on all channels.
    """
    import torch

    from brain2image.losses import info_nce, mse
    from brain2image.models.residual import ResidualMLP

    torch.manual_seed(0)
    encode, targets = eeg_encoder(training), training.pairs.targets
    mean, scale = targets.mean(axis=0), targets.std()
    x, y = (torch.from_numpy(rows) for rows in (encode(training.pairs), (targets - mean) / scale))
    network = ResidualMLP(x.shape[1], y.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), lr=MLP_RATE, weight_decay=MLP_DECAY)
    train, val = (torch.from_numpy(rows) for rows in inner_folds(training.concepts)[0])

    def loss(rows: torch.Tensor) -> torch.Tensor:
        predictions = network(x[rows])
        return mse(predictions, y[rows]) + info_nce(predictions, y[rows], temperature=MLP_TEMPERATURE)

    best = float("inf")
    for _ in range(MLP_EPOCHS):
        for batch in train[torch.randperm(len(train))].split(MLP_BATCH):
            optimiser.zero_grad()
            loss(batch).backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            error = loss(val).item()
        if error < best:
            best, weights = error, {name: value.clone() for name, value in network.state_dict().items()}
        network.train()
    network.load_state_dict(weights)
    network.eval()

    @torch.no_grad()
    def predict(pairs: Pairs) -> np.ndarray:
        return network(torch.from_numpy(encode(pairs))).numpy() * scale + mean

    return predict


def eeg_encoder(training: Training) -> Standardised:
    """EEG as one row a picture, each channel and sample z-scored by the training pictures."""
    return _standardised(lambda pairs: pairs.eeg.reshape(len(pairs.eeg), -1), training)


def clip_encoder(training: Training) -> Standardised:
    """CLIP embedding of the THINGS picture, each feature z-scored by the training pictures."""
    return _standardised(lambda pairs: training.clip[pairs.table["things_image"]], training)


def _standardised(encode: Encoder, training: Training) -> Standardised:
    rows = encode(training.pairs)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    return Standardised(encode, mean, np.sqrt(rows.shape[1]) * np.where(deviation > 0, deviation, 1))


def _after(encode: Encoder, training: Training, **kernel: object) -> Predictor:
    mean = training.pairs.targets.mean(axis=0)
    model = _fit_kernel_ridge(
        encode(training.pairs), training.pairs.targets - mean, training.concepts, **kernel
    )
    return lambda pairs: (model.predict(encode(pairs).astype(np.float64)) + mean).astype(np.float32)


def _ridge_weights(x: np.ndarray, targets: np.ndarray, concepts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight and offset, float64, of the ridge regression of the targets on rows of mean zero."""
    mean = targets.mean(axis=0)
    model = _fit_kernel_ridge(x, targets - mean, concepts, kernel="linear")
    return model.get_primal_coef(), mean


def _fit_kernel_ridge(
    x: np.ndarray, targets: np.ndarray, concepts: np.ndarray, **kernel: object
) -> KernelRidgeCV:
    """Ridge regression in its dual form, alpha chosen for each target by cross-validation over concepts.

    In float64: where the penalty is weak, the dual weights are large and cancel.

    Source: himalaya's KernelRidgeCV (Dupré la Tour et al., NeuroImage 2022).
    """
    model = KernelRidgeCV(alphas=ALPHAS, cv=inner_folds(concepts), warn=False, **kernel)
    return model.fit(x.astype(np.float64), targets.astype(np.float64))


def inner_folds(concepts: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Five folds of the training pairs, fewer where there are fewer concepts, none of which two folds share.

    Raises
    ------
    InputError
        When all training pairs show the same concept.
    """
    n_concepts = len(np.unique(concepts))
    if n_concepts < 2:
        raise InputError(
            f"expected training pairs of at least 2 concepts, got {n_concepts}; raise matching.top_k"
        )
    folds = GroupKFold(min(N_FOLDS, n_concepts))
    return list(folds.split(np.empty((len(concepts), 1)), groups=concepts))


def fit_ceiling(training_pairs: Pairs, expected: np.ndarray) -> Predictor:
    """Best prediction of the partner's embedding from the expected embedding of the picture that was seen.

    A partner only resembles the picture, so its embedding is that of the picture shrunk towards the mean:
    ``mean + b * (expected - mean)``, with one factor b fitted by least squares on the training pairs.

    Parameters
    ----------
    training_pairs : targets measured for the NSD partners.
    expected : (n_images, n_features) float32, noise-free embedding of every THINGS picture.
    """
    own = expected[training_pairs.table["things_image"]]
    mean, target_mean = own.mean(axis=0), training_pairs.targets.mean(axis=0)
    x, y = own - mean, training_pairs.targets - target_mean
    factor = np.sum(x * y, dtype=np.float64) / np.sum(x * x, dtype=np.float64)
    return lambda pairs: (target_mean + factor * (expected[pairs.table["things_image"]] - mean)).astype(
        np.float32
    )


BASELINES: dict[str, Callable[[Training], Predictor]] = {
    "mean_target": fit_mean_target,
    "nearest_image": fit_nearest_image,
    "ridge": fit_ridge,
    "kernel_ridge": fit_kernel_ridge,
    "pls": fit_pls,
    "two_step": fit_two_step,
    "clip_oracle": fit_clip_oracle,
    "mlp": fit_mlp,
    "cbramod_linear": partial(fit_cbramod_linear, pretrained=True),
    "cbramod_random": partial(fit_cbramod_linear, pretrained=False),
}
