"""What is each person's own between the EEG and a network that several people share."""

import numpy as np
import torch
from einops import einsum
from torch import Tensor, nn

from brain2image.models.encoders.base import EEGLayout

MIX = "trials out channels, trials channels times -> trials out times"
NOBODY = -1  # the number of a person whom the model does not know
LONGEST = 0.03  # s, by which somebody's responses may come later or earlier than other people's
LEAST_SIMILARITY = 0.3  # cosine of two mean responses; that of a few trials' noise lies below


def layered_people(person: Tensor | None, layered: Tensor | None) -> Tensor | None:
    """Return the people whose layers are heard: `NOBODY` of rows that are not ``layered``, None of nobody."""
    return person if person is None or layered is None else person.masked_fill(~layered, NOBODY)


def find_lag(response: np.ndarray, expected: np.ndarray, *, sfreq: float) -> int:
    """Return by how many samples a person's mean response comes later than those of others; needs no labels.

    The lag is that of the largest cosine over channels and times, without the means over times. It is 0 where
    responses are too unlike to tell.

    Parameters
    ----------
    response, expected : (n_channels, n_times), mean EEG of the person and of the others.
    sfreq : Hz.
    """
    longest = round(LONGEST * sfreq)
    lags = sorted(range(-longest, longest + 1), key=abs)
    moved = np.stack([move_earlier(response, lag) for lag in lags])
    expected, moved = (x - x.mean(axis=-1, keepdims=True) for x in (expected, moved))
    lengths = np.linalg.norm(moved, axis=(1, 2)) * np.linalg.norm(expected)
    products = np.einsum("lct,ct->l", moved, expected)
    similarity = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    best = int(np.argmax(similarity))
    return lags[best] if similarity[best] >= LEAST_SIMILARITY else 0


def move_earlier(eeg: np.ndarray, lag: int) -> np.ndarray:
    """Move EEG (..., n_times) by ``lag`` samples towards the onset; the sample at the edge is repeated."""
    n_times = eeg.shape[-1]
    return eeg[..., (np.arange(n_times) + lag).clip(0, n_times - 1)]


class PersonLayer(nn.Module):
    """A gain for each channel, or a mixing of the channels, of each person, which starts as doing nothing.

    A person who took no part in training has none, so the network hears that EEG as it comes. Training drops
    the layers of some rows, for it to learn to hear people so.

    Parameters
    ----------
    kind : ``none`` (mean and scale alone), ``scale`` or ``spatial``.
    layout : of the EEG.
    n_people : people who are learned from.
    rotates : whether the EEG is moved by a lag and the channels are rotated first, as calibration fits it.

    Attributes
    ----------
    response : (n_people, n_channels, n_times) float32, each person's mean EEG, in its stored unit.
    common : (n_channels, n_times) float32, what is added in the place of a person's mean: that of the one
        person whom a network learned from before it was calibrated; zeros of several.
    rotation : (n_people, n_channels, n_channels) float32, of the EEG less its mean, where ``rotates``.
    lag : (n_people,) int64, samples by which each person's responses are late, where ``rotates``.
    scale : (n_people,) float32, factor that brings each person's EEG to the loudness of all.
    gain : (n_people, n_channels) float32, what is added to a factor of 1; of kind ``scale``.
    mixing : (n_people, n_channels, n_channels) float32, what is added to the identity; of kind ``spatial``.

    Source: a spatial layer a person as in Défossez et al. (Nature Machine Intelligence 2023), section 2.3.
    """

    response: Tensor
    common: Tensor
    rotation: Tensor
    lag: Tensor
    scale: Tensor

    def __init__(self, kind: str, layout: EEGLayout, *, n_people: int, rotates: bool = False):
        super().__init__()
        n_channels = layout.n_channels
        self.register_buffer("response", torch.zeros(n_people, n_channels, layout.n_times))
        self.register_buffer("common", torch.zeros(n_channels, layout.n_times))
        self.rotates = rotates
        if rotates:
            self.register_buffer("rotation", torch.eye(n_channels).repeat(n_people, 1, 1))
            self.register_buffer("lag", torch.zeros(n_people, dtype=torch.int64))
        self.register_buffer("scale", torch.ones(n_people))
        self.gain = nn.Parameter(torch.zeros(n_people, n_channels)) if kind == "scale" else None
        self.mixing = (
            nn.Parameter(torch.zeros(n_people, n_channels, n_channels)) if kind == "spatial" else None
        )

    def centre(self, eeg: Tensor, person: Tensor | None) -> Tensor:
        """Subtract each row's own mean response; of nobody's, and where None is given, that of all people.

        A calibrated model then moves the EEG by its lag and rotates the channels, as whoever it was fitted to
        is the only one it hears.
        """
        if person is None:
            person = torch.full((len(eeg),), NOBODY, device=eeg.device)
        known = person.clamp(min=0)
        own = torch.where((person >= 0)[:, None, None], self.response[known], self.response.mean(dim=0))
        eeg = eeg - own
        if self.rotates:
            n_times = eeg.shape[2]
            places = torch.arange(n_times, device=eeg.device) + self.lag[known][:, None]
            eeg = eeg.gather(2, places.clamp(0, n_times - 1)[:, None].expand_as(eeg))
            eeg = einsum(self.rotation[known], eeg, MIX)
        return eeg + self.common

    def forward(self, eeg: Tensor, person: Tensor | None) -> Tensor:
        """Apply each row's own layer.

        Parameters
        ----------
        eeg : (n_trials, n_channels, n_times) float32.
        person : (n_trials,) int64, `NOBODY` of rows that are to stay as they come; None: all are.
        """
        if person is None:
            return eeg
        is_known = (person >= 0).to(eeg.dtype)
        person = person.clamp(min=0)
        scaled = eeg * (1 + is_known * (self.scale[person] - 1))[:, None, None]
        if self.gain is not None:
            return scaled * (1 + is_known[:, None] * self.gain[person])[:, :, None]
        if self.mixing is not None:
            own = is_known[:, None, None] * self.mixing[person]
            return scaled + einsum(own, scaled, MIX)
        return scaled
