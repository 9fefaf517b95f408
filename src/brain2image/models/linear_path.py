"""The short way from EEG to the embedding: a ridge regression, and a perceptron that corrects it."""

import torch
from einops import einsum, rearrange
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
    n_people : people of whom each has a term of its own beside the regression that all share.

    Attributes
    ----------
    weight : (n_inputs, linear_axes) float32, per unit of the stored EEG.
    offset : (linear_axes,) float32.
    axes : (linear_axes, n_features) float32; axes that the data do not have are zero.
    pattern : (linear_axes, n_inputs) float32, mean EEG of pictures whose coordinate is 1, less that of all.
    person_weight : (n_people, n_inputs, linear_axes) float32, what is added for each person's EEG.
    person_offset : (n_people, linear_axes) float32.
    """

    weight: Tensor
    offset: Tensor
    axes: Tensor
    pattern: Tensor
    person_weight: Tensor
    person_offset: Tensor

    def __init__(self, model: ModelConfig, n_inputs: int, n_features: int, *, n_people: int = 0):
        super().__init__()
        n_axes = model.linear_axes
        self.register_buffer("weight", torch.zeros(n_inputs, n_axes))
        self.register_buffer("offset", torch.zeros(n_axes))
        self.register_buffer("axes", torch.zeros(n_axes, n_features))
        self.register_buffer("pattern", torch.zeros(n_axes, n_inputs))
        self.n_people = n_people
        if n_people:
            self.register_buffer("person_weight", torch.zeros(n_people, n_inputs, n_axes))
            self.register_buffer("person_offset", torch.zeros(n_people, n_axes))
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
        self.pattern[:n_axes] = torch.from_numpy(regression.pattern)
        if self.n_people:
            self.person_weight[..., :n_axes] = torch.from_numpy(regression.person_weights)
            self.person_offset[..., :n_axes] = torch.from_numpy(regression.person_offsets)

    def forward(self, eeg: Tensor, person: Tensor | None = None) -> Tensor:
        """Map EEG to the embedding.

        Parameters
        ----------
        eeg : (n_trials, ...) float32 in its stored unit.
        person : (n_trials,) int64, whose each row is; negative of people without a term, None where all are.

        Returns
        -------
        (n_trials, n_features) float32, standardised.
        """
        rows = rearrange(eeg, "trials ... -> trials (...)")
        coordinates = rows @ self.weight + self.offset
        if self.n_people and person is not None:
            # everybody's term of every row, as a row's own weights would be gathered for each row
            terms = einsum(
                rows, self.person_weight, "trials inputs, people inputs axes -> people trials axes"
            )
            own = (terms + self.person_offset[:, None])[
                person.clamp(min=0), torch.arange(len(rows), device=rows.device)
            ]
            coordinates = coordinates + (person >= 0)[:, None] * own
        return self.decode(coordinates)

    def decode(self, coordinates: Tensor) -> Tensor:
        """Map coordinates (n_trials, linear_axes) to (n_trials, n_features), standardised."""
        return coordinates @ self.axes + self.correct(coordinates)
