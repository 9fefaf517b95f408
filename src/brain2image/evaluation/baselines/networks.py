"""Baselines that are networks, or the outputs of one."""

import numpy as np
from einops import rearrange

from brain2image.config import ModelConfig
from brain2image.evaluation.baselines.base import (
    Training,
    eeg_encoder,
    fit_ridge_weights,
    standardise_columns,
)
from brain2image.training_set.means import Pairs, Predictor

MLP_EPOCHS, MLP_BATCH, MLP_RATE, MLP_DECAY = 60, 64, 3e-4, 0.05


def fit_cbramod_linear(training: Training, *, pretrained: bool) -> Predictor:
    """Fit ridge regression on the outputs of a frozen CBraMod, of published or of random weights."""
    import torch

    from brain2image.models.encoders.base import EEGLayout
    from brain2image.models.encoders.cbramod import N_PUBLISHED_LAYERS, CBraModEncoder

    torch.manual_seed(0)
    encoder = CBraModEncoder(EEGLayout.of(training.meta), ModelConfig(n_layers=N_PUBLISHED_LAYERS))
    if pretrained:
        assert training.cbramod is not None  # as they are given to the baselines that take them
        encoder.load_pretrained(training.cbramod)
    encoder.eval()
    scale = np.float32(encoder.input_scale(training.meta["unit"], training.sample))

    @torch.no_grad()
    def encode(eeg: np.ndarray) -> np.ndarray:
        scaled = torch.from_numpy(eeg * scale)
        tokens = torch.cat([encoder(batch) for batch in scaled.split(64)]).numpy()
        return rearrange(tokens, "pairs tokens width -> pairs (tokens width)")

    standardised, rows = standardise_columns(encode, training.encode(encode))
    weight, offset = fit_ridge_weights(rows, training.targets, training.concepts)
    return lambda pairs: (standardised(pairs) @ weight + offset).astype(np.float32)


def fit_mlp(training: Training) -> Predictor:
    """Train a linear layer and a residual block by MSE and InfoNCE on the means over trials.

    The weights are those with the least loss on the val pairs, as the run's are, at the run's temperature.
    Source: the form of UBP's EEG encoder (CVPR 2025, https://arxiv.org/abs/2503.04207), on all channels.
    """
    import torch

    from brain2image.models.losses import info_nce, mse
    from brain2image.models.residual import ResidualMLP

    torch.manual_seed(0)
    (encode, rows), targets = eeg_encoder(training), training.targets
    mean, scale = targets.mean(axis=0), targets.std()
    x, y = torch.from_numpy(rows), torch.from_numpy((targets - mean) / scale)
    images = torch.from_numpy(training.items["image"].to_numpy(np.int64))
    network = ResidualMLP(x.shape[1], y.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), lr=MLP_RATE, weight_decay=MLP_DECAY)
    is_val = (training.items["split"] == "val").to_numpy()
    train, val = (torch.from_numpy(np.flatnonzero(wanted)) for wanted in (~is_val, is_val))

    def loss(rows: torch.Tensor) -> torch.Tensor:
        predictions = network(x[rows])
        contrast = info_nce(predictions, y[rows], images[rows], temperature=training.temperature)
        return mse(predictions, y[rows]) + contrast

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
