"""Any model of braindecode's zoo as an encoder, `braindecode:NAME` (https://braindecode.org, BSD-3).

A model is built for the channels and samples that it will hear, loses its classifier, and gives what stands
in front of it: its own features where its ``forward`` has ``return_features``, else the input of its
``final_layer``. The package is imported where a model is built, as only runs of such encoders need it.
"""

import inspect
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import mne
import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor, nn

from brain2image.config import ModelConfig
from brain2image.core.errors import InputError
from brain2image.datasets.splines import TEN_FIVE, template
from brain2image.models.encoders.base import EEGLayout, Encoder
from brain2image.models.published_weights import read_weights
from brain2image.weights.sources import check_finite

HEAD = "final_layer"  # braindecode's name of every classifier
TOKENS_FIRST = ("LUNA",)  # models whose classifier takes (tokens, width); that of others takes (width, ...)
# Tables of positions in time whose first rows are taken where trials are shorter than in the pretraining.
POSITIONS_IN_TIME = ("temporal_embedding",)


class Known(NamedTuple):
    """What a published model was trained with; none of them with values that were clamped.

    ``sfreq`` in Hz; ``microvolts`` that it takes as 1, None where it was trained with no unit; ``rms`` of its
    input.
    """

    sfreq: float
    microvolts: float | None
    rms: float


# CBraMod: section 3.1 of https://arxiv.org/abs/2412.07236, as in `encoders.cbramod`.
# Labram: engine_for_pretraining.py of https://github.com/935963004/LaBraM, microvolts / 100.
# EEGPT: datasets/pretrain/prepare_pretrain_dataset.py of https://github.com/BINE022/EEGPT, millivolts.
# BIOT: utils.py of https://github.com/ycq091044/BIOT divides by the 95 % quantile of absolute values, which
# of normal values lies at 1.96 standard deviations.
PUBLISHED = {
    "CBraMod": Known(200.0, 100.0, 0.2),
    "InterpolatedBIOT": Known(200.0, None, 0.51),
    "InterpolatedEEGPT": Known(256.0, 1000.0, 0.02),
    "InterpolatedLaBraM": Known(200.0, 100.0, 0.2),
    "Labram": Known(200.0, 100.0, 0.2),
}


def resampling_matrix(n_times: int, sfreq: float, new: float) -> np.ndarray:
    """Return weights (n_times, n_new) float32 by which EEG, from the left, comes at another rate.

    They are those of SciPy's polyphase filter, padded along the line from the first to the last sample.
    """
    ratio = Fraction(new / sfreq).limit_denominator(1000)
    if ratio == 1:
        return np.eye(n_times, dtype=np.float32)
    impulses = np.eye(n_times)
    resampled = resample_poly(impulses, ratio.numerator, ratio.denominator, axis=1, padtype="line")
    return resampled.astype(np.float32)


class BraindecodeEncoder(Encoder):
    """A model of braindecode without its classifier.

    A model with published weights hears the EEG at the rate that it was trained with, by a fixed matrix; any
    other hears it at its own rate, with a root mean square of 1. What no output depends on does not learn.

    Raises
    ------
    InputError
        When the model does not take such channels or samples, in the words of braindecode.
    """

    options = ("pretrained",)
    has_variants = True
    catalogue = "braindecode/models/summary.csv"
    published = ("CBraMod", "InterpolatedBIOT", "InterpolatedEEGPT", "InterpolatedLaBraM", "Labram")
    millions = {  # noqa: RUF012  as it is read without an import; of 63 channels and 1 s at 200 Hz
        "CodeBrain": 15,
        "DeepSleepNet": 92,
        "EEGPT": 26,
        "InterpolatedBENDR": 158,
        "InterpolatedEEGPT": 26,
    }
    unfit = {  # noqa: RUF012  as it is read without an import
        "ATCNet": "has a classifier for each of its windows, so that no one place holds its features",
        "DANCE": "finds events in long recordings",
        "EMG2QwertyNet": "is for electromyograms",
        "MetaNeuromotorHand": "is for electromyograms",
        "NeuroPose": "is for electromyograms",
        "REVE": "reads electrodes' positions from a server when it is built, which no run can depend on",
        "SSTDPN": "compares with prototypes of classes, and has no features in front of a classifier",
        "STEEGFormer": "reads its channels from a server when it is built, which no run can depend on",
        "SensingDynamics": "is for electromyograms",
        "USleep": "scores sleep, sample by sample, and has no features in front of a classifier",
        "VEMG2Pose": "is for electromyograms",
    }

    resampling: Tensor
    positions: Tensor | None

    def __init__(self, layout: EEGLayout, model: ModelConfig):
        name = model.encoder.partition(":")[2]
        known = PUBLISHED.get(name, Known(layout.sfreq, None, 1.0))
        matrix = torch.from_numpy(resampling_matrix(layout.n_times, layout.sfreq, known.sfreq))
        heard = layout._replace(n_times=matrix.shape[1], sfreq=known.sfreq)
        try:
            network = _build(name, heard)
            options = _forward_options(network, heard)
            tokens = _try_out(network, options, heard, width_first=name not in TOKENS_FIRST)
        except (ValueError, RuntimeError, TypeError, KeyError, IndexError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise InputError(
                f"encoder {model.encoder}: it does not take {layout.n_channels} channels "
                f"({', '.join(layout.channels[:3])}, ...) of {heard.n_times} samples at {heard.sfreq:g} Hz "
                f"({reason}); choose others by model.channels, or another encoder"
            ) from error
        super().__init__(*tokens.shape[1:])
        self.network, self.forward_options, self.name = network, options, name
        self.microvolts, self.rms = known.microvolts, known.rms
        self.is_resampled = known.sfreq != layout.sfreq
        # no part of the weights, as it follows from the config
        self.register_buffer("resampling", matrix, persistent=False)
        positions = _positions(layout.channels) if "ch_names" in options else None
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, eeg: Tensor) -> Tensor:
        """Encode EEG (n_trials, n_channels, n_times) as tokens (n_trials, n_tokens, token_width)."""
        if self.is_resampled:
            eeg = eeg @ self.resampling
        if self.positions is not None:  # Labram's own `forward` copies them to the device in every step
            features: Any = self.network.forward_features
            return features(eeg, input_chans=self.positions, return_all_tokens=True)[:, 1:]
        output = self.network(eeg, **self.forward_options)
        return _tokens(output, width_first=self.name not in TOKENS_FIRST)

    def read_published(self, path: str | Path) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Read the published weights of all but the classifier."""
        remedy = f"name the file of braindecode's {self.name} under weights.encoders"
        found = read_weights(path, model=f"braindecode's {self.name}", remedy=remedy)
        own = self.network.state_dict()
        weights = {}
        for name, value in own.items():
            if name not in found:
                n_missing = len(own.keys() - found.keys())
                raise InputError(
                    f"{path}: expected all {len(own)} tensors of {self.name}, {n_missing} are missing "
                    f"(first: {name}); {remedy}"
                )
            weights[name] = _fitting(name, found[name], value, source=path, remedy=remedy)
        check_finite(weights, source=path, remedy=remedy)
        n_head = sum(name.startswith(f"{HEAD}.") for name in found)
        n_others = len(found) - len(own) - n_head
        left_out = {"the classifier": n_head, "what this network does not have": n_others}
        named = {f"network.{name}": value for name, value in weights.items()}
        return named, {reason: number for reason, number in left_out.items() if number}


def _build(name: str, layout: EEGLayout) -> nn.Module:
    """Build a model of braindecode, and put nothing in the place of its classifier."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what braindecode itself calls
        from braindecode import models

    builder = getattr(models, name)
    arguments = {
        "n_outputs": 2,  # of the classifier, which is taken away
        "n_chans": layout.n_channels,
        "n_times": layout.n_times,
        "sfreq": layout.sfreq,
        "chs_info": _places(layout.channels),
    }
    taken = inspect.signature(builder).parameters
    with mne.use_log_level("ERROR"), warnings.catch_warnings():
        # as that a model wants channels to be named in `forward`, where they are
        warnings.filterwarnings("ignore", module=r"braindecode\.")
        network = builder(**{key: value for key, value in arguments.items() if key in taken})
    setattr(network, HEAD, nn.Identity())
    return network


def _places(channels: tuple[str, ...]) -> list[dict[str, Any]] | None:
    """Return MNE's description of each channel; None where one has no place in the 10-05 system."""
    montage = template(TEN_FIVE)
    if set(channels) - set(montage.ch_names):
        return None
    return [dict(one) for one in mne.create_info(list(channels), 1.0, "eeg").set_montage(montage)["chs"]]


def _positions(channels: tuple[str, ...]) -> Tensor:
    """Return the rows of Labram's table of positions: its class token's, then those of the channels."""
    from braindecode.models import labram

    order = [name.upper() for name in labram.LABRAM_CHANNEL_ORDER]
    return torch.tensor([0, *(1 + order.index(name.upper()) for name in channels)])


def _forward_options(network: nn.Module, layout: EEGLayout) -> dict[str, Any]:
    """Return what the ``forward`` of a network is told: to give features, and the names of the channels."""
    # a class that interpolates channels passes on what its base takes
    forwards = [getattr(base, "forward", None) for base in type(network).__mro__[:2]]
    takes = {name for forward in forwards if forward for name in inspect.signature(forward).parameters}
    own = inspect.signature(type(network).forward).parameters
    options: dict[str, Any] = {"return_features": True} if "return_features" in takes else {}
    return options | ({"ch_names": list(layout.channels)} if "ch_names" in own else {})


def _try_out(network: nn.Module, options: dict[str, Any], layout: EEGLayout, *, width_first: bool) -> Tensor:
    """Return the tokens of two trials of noise, and let what they do not depend on learn nothing.

    A weight that no output depends on would have no gradient, for which several GPUs would wait. No random
    number is drawn from PyTorch's own generator, so that all that is built later has the weights of its seed.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, layout.n_channels, layout.n_times, generator=generator)
    with torch.enable_grad():
        tokens = _tokens(network.eval()(noise, **options), width_first=width_first)
        tokens.square().mean().backward()
    for weight in network.parameters():
        weight.requires_grad_(weight.requires_grad and weight.grad is not None)
        weight.grad = None
    network.train()
    return tokens.detach()


def _tokens(output: Tensor | dict[str, Tensor], *, width_first: bool) -> Tensor:
    """Bring what a network gives into the order (n_trials, n_tokens, token_width)."""
    if isinstance(output, dict):  # (n_trials, ..., width)
        features = output["features"]
        return features.flatten(1, -2) if features.ndim > 2 else features.unsqueeze(1)
    if not width_first:
        return output
    # (n_trials, width, ...), maps of a convolution
    return output.flatten(2).transpose(1, 2) if output.ndim > 2 else output.unsqueeze(1)


def _fitting(name: str, found: Any, own: Tensor, *, source: str | Path, remedy: str) -> Tensor:
    """Return a published tensor in the shape of the network's own one.

    Raises
    ------
    InputError
        When it has another shape, but for positions in time that are more than are needed.
    """
    shape = getattr(found, "shape", None)
    if shape != own.shape and name in POSITIONS_IN_TIME and found.ndim == own.ndim:
        found = found[:, : own.shape[1]]
    if getattr(found, "shape", None) != own.shape:
        shapes = f"of shape {tuple(own.shape)}, got {shape and tuple(shape)}"
        raise InputError(f"{source}: expected {name} {shapes}; {remedy}")
    return found.clone()


ENCODER = BraindecodeEncoder
