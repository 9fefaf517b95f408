"""The short way from EEG to the embedding: a ridge regression, and a perceptron that corrects it."""

import torch
from einops import rearrange
from torch import Tensor, nn

from brain2image.config import ModelConfig
from brain2image.models.dropout import Dropout
from brain2image.models.pooling import linear
from brain2image.models.regression import AxisRidge


class LinearPath(nn.Module):
    """``coordinates @ axes + correct(coordinates)`` with ``coordinates = eeg @ weight + offset``.

    The regression is fitted in closed form before the training and stays as it is: its numbers are buffers.
    The correction is a perceptron that starts at zero, so the path starts as the regression.

    Parameters
    ----------
    model : the configuration block.
    n_inputs : numbers of one trial, n_channels * n_times.
    n_features : width of the output.

    Attributes
    ----------
    weight : (n_inputs, linear_axes) float32, per unit of the stored EEG.
    offset : (linear_axes,) float32.
    axes : (linear_axes, n_features) float32; axes that the data do not have are zero.
    """

    weight: Tensor
    offset: Tensor
    axes: Tensor

    def __init__(self, model: ModelConfig, n_inputs: int, n_features: int):
        super().__init__()
        n_axes = model.linear_axes
        self.register_buffer("weight", torch.zeros(n_inputs, n_axes))
        self.register_buffer("offset", torch.zeros(n_axes))
        self.register_buffer("axes", torch.zeros(n_axes, n_features))
        self.correct = nn.Sequential(
            linear(n_axes, model.hidden_size),
            nn.GELU(),
            Dropout(model.dropout),
            linear(model.hidden_size, n_features, gain=0.0),
        )

    @torch.no_grad()
    def fit(self, regression: AxisRidge) -> None:
        """Take over a regression; axes beyond those that it has stay zero."""
        n_axes = len(regression.axes)
        self.weight[:, :n_axes] = torch.from_numpy(regression.weight)
        self.offset[:n_axes] = torch.from_numpy(regression.offset)
        self.axes[:n_axes] = torch.from_numpy(regression.axes)

    def forward(self, eeg: Tensor) -> Tensor:
        """Map (n_trials, ...) EEG in its stored unit to (n_trials, n_features), standardised."""
        return self.decode(rearrange(eeg, "trials ... -> trials (...)") @ self.weight + self.offset)

    def decode(self, coordinates: Tensor) -> Tensor:
        """Map coordinates (n_trials, linear_axes) to (n_trials, n_features), standardised."""
        return coordinates @ self.axes + self.correct(coordinates)
