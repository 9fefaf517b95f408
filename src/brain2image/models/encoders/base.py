"""The contract of EEG encoders: what each is built from, says of itself, and gives."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from torch import Tensor, nn

from brain2image.config import ModelConfig
from brain2image.core.encoder_names import find_encoder
from brain2image.core.errors import InputError

logger = logging.getLogger(__name__)


class EEGLayout(NamedTuple):
    """What all trials of a data set have in common."""

    channels: tuple[str, ...]  # names, in the order of the array
    n_times: int  # samples of a trial
    sfreq: float  # Hz

    @property
    def n_channels(self) -> int:
        """Count the channels."""
        return len(self.channels)

    def select(self, rows: Sequence[int]) -> "EEGLayout":
        """Return the layout of some of the rows."""
        return self._replace(channels=tuple(self.channels[row] for row in rows))

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> "EEGLayout":
        """Return the layout of a training set, from `lmdb_store.LMDBReader.meta`."""
        return cls(tuple(meta["channels"]), meta["eeg_shape"][1], meta["sfreq"])


class LoadedWeights(NamedTuple):
    """What became of the tensors of a file of published weights."""

    n_loaded: int
    left_out: dict[str, int]  # number of tensors that were not taken, by the reason


class Encoder(nn.Module):
    """EEG to tokens; its subclasses are the encoders.

    A subclass is built from (layout, model), hands ``n_tokens`` and ``token_width`` to this class, and has a
    ``forward`` from (n_trials, n_channels, n_times) float32, in the range of `input_scale`, to (n_trials,
    n_tokens, token_width) float32. ``options``, ``fixed_width``, ``has_variants``, ``catalogue``,
    ``published``, ``millions`` and ``unfit`` stand in its own body as plain values, as they are read without
    importing it; what it leaves out is as here.

    Parameters
    ----------
    n_tokens : tokens of a trial, in the same order in all trials.
    token_width : features of a token.

    Attributes
    ----------
    options : those that it has of ``n_layers`` (its depth can be chosen), ``pretrained`` (it has published
        weights) and ``layer_decay`` (its `layers` may learn at rates of their own).
    fixed_width : ``token_width``, where neither the EEG nor an option changes it.
    has_variants : whether ``model.encoder`` says after a colon which of several networks it is.
    catalogue, published, millions, unfit : of variants that another package lists, see
        `encoder_names.Declaration`.
    microvolts : what it takes as 1 in its input; None where it was trained with no unit.
    rms : root mean square of what it was trained with; the scale of EEG without a unit, or where
        ``microvolts`` is None.
    loaded : what became of the published weights.
    is_frozen : whether it learns nothing.
    """

    options: ClassVar[tuple[str, ...]] = ()
    fixed_width: ClassVar[int | None] = None
    has_variants: ClassVar[bool] = False
    catalogue: ClassVar[str | None] = None
    published: ClassVar[tuple[str, ...]] = ()
    millions: ClassVar[Mapping[str, int]] = {}
    unfit: ClassVar[Mapping[str, str]] = {}
    microvolts: float | None = None
    rms: float = 1.0

    def __init__(self, n_tokens: int, token_width: int):
        super().__init__()
        self.n_tokens, self.token_width = n_tokens, token_width
        self.loaded = LoadedWeights(0, {})
        self.is_frozen = False

    def freeze(self) -> None:
        """Learn nothing from now on: no weight changes, no norm's statistics do, and nothing is dropped."""
        self.requires_grad_(False)
        self.is_frozen = True
        self.eval()

    def train(self, mode: bool = True) -> "Encoder":
        """Learn, or do not; what is frozen never does."""
        return super().train(mode and not self.is_frozen)

    def describe(self) -> dict[str, Any]:
        """Return its tokens, its parameters, and what became of published weights, for ``config.json``."""
        weights = list(self.parameters())
        return {
            "n_tokens": self.n_tokens,
            "token_width": self.token_width,
            "tensors_loaded": self.loaded.n_loaded,
            "tensors_left_out": self.loaded.left_out,
            "n_parameters": sum(weight.numel() for weight in weights),
            "n_learned": sum(weight.numel() for weight in weights if weight.requires_grad),
            "is_frozen": self.is_frozen,
        }

    def layers(self) -> list[nn.Module]:
        """Return its parts from the input to the output, which hold all its parameters."""
        return [self]

    def input_scale(self, unit: str, read_sample: Callable[[], np.ndarray]) -> float:
        """Return the factor that brings EEG into the range that the encoder was trained with.

        Parameters
        ----------
        unit : ``uV`` or ``whitened``, which is without a unit.
        read_sample : gives training trials (n_trials, n_channels, n_times) float32; called where the unit
            alone does not tell.

        Raises
        ------
        InputError
            When the unit is another one.
        """
        if unit not in ("uV", "whitened"):
            raise InputError(
                f"expected EEG in uV or whitened, got unit {unit!r}; repack the EEG with this workflow"
            )
        if unit == "uV" and self.microvolts is not None:
            return 1 / self.microvolts
        return float(self.rms / np.sqrt(np.mean(np.square(read_sample(), dtype=np.float64))))

    def load_pretrained(self, path: str | Path) -> None:
        """Take over published weights, all that the encoder has, and note in ``loaded`` what became of them.

        Raises
        ------
        InputError
            When the file is not what the encoder expects, or lacks some of its tensors.
        """
        weights, left_out = self.read_published(path)
        missing = sorted(self.state_dict().keys() - weights.keys())
        if missing:
            raise InputError(
                f"{path}: expected all {len(self.state_dict())} tensors of the encoder, {len(missing)} are "
                f"missing (first: {missing[0]})"
            )
        self.load_state_dict(weights)
        self.loaded = LoadedWeights(len(weights), left_out)
        reasons = "".join(f"; left out {number}: {reason}" for reason, number in left_out.items())
        logger.info("%s: loaded %d tensors%s", path, len(weights), reasons)

    def read_published(self, path: str | Path) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Read published weights, checked, under the names of ``state_dict``.

        Returns
        -------
        The tensors, and how many others the file holds, by the reason why they are left out.
        """
        raise InputError(f"{type(self).__name__}: has no published weights; set model.pretrained to false")


def build_encoder(model: ModelConfig, layout: EEGLayout) -> Encoder:
    """Build the encoder that a run's ``model`` block names, with random weights.

    Raises
    ------
    InputError
        When it does not take such EEG.
    """
    return find_encoder(model.encoder)(layout, model)
