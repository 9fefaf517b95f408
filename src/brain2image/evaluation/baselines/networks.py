"""Baselines that are networks, or the outputs of one."""

import numpy as np
from einops import rearrange

from brain2image.config import ModelConfig
from brain2image.evaluation.baselines.base import (
    Training,
    eeg_encoder,
    fit_after,
    inner_folds,
    standardise_columns,
)
from brain2image.training_set.means import Pairs, Predictor

MLP_EPOCHS, MLP_BATCH, MLP_RATE, MLP_DECAY, MLP_TEMPERATURE = 60, 64, 3e-4, 0.05, 0.07


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
    scale = np.float32(encoder.input_scale(training.meta["unit"], lambda: training.pairs.eeg))

    @torch.no_grad()
    def encode(pairs: Pairs) -> np.ndarray:
        eeg = torch.from_numpy(pairs.eeg * scale)
        tokens = torch.cat([encoder(batch) for batch in eeg.split(64)]).numpy()
        return rearrange(tokens, "pairs tokens width -> pairs (tokens width)")

    return fit_after(standardise_columns(encode, training), training, kernel="linear")


def fit_mlp(training: Training) -> Predictor:
    """Train a linear layer and a residual block by MSE and InfoNCE on the means over trials.

    The weights are those with the least loss on the first inner fold, which takes no part in the training.
    Source: the form of UBP's EEG encoder (CVPR 2025, https://arxiv.org/abs/2503.04207), on all channels.
    """
    import torch

    from brain2image.models.losses import info_nce, mse
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
