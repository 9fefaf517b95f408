"""What an encoder makes of a file of its published weights, before hours are spent."""

from collections.abc import Mapping, Sequence
from typing import Any

from brain2image.config import ModelConfig
from brain2image.datasets.trial_files import N_TIMES, SFREQ
from brain2image.models.encoders.base import EEGLayout, build_encoder


def describe_published(path: str, *, model: Mapping[str, Any], channels: Sequence[str]) -> str:
    """Say how many tensors of a file an encoder loads, and how many it leaves out and why.

    Parameters
    ----------
    path : the file.
    model : the ``model`` block of a run that starts from it.
    channels : those that the encoder hears.

    Raises
    ------
    InputError
        When it is not the file of such an encoder: other keys or shapes, values that are not finite.
    """
    encoder = build_encoder(ModelConfig(**model), EEGLayout(tuple(channels), N_TIMES, float(SFREQ)))
    encoder.load_pretrained(path)
    left_out = (f"left out {number}: {reason}" for reason, number in encoder.loaded.left_out.items())
    return "; ".join([f"{encoder.loaded.n_loaded} tensors", *left_out])
