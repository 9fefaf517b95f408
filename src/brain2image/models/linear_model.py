"""Linear models from EEG to fMRI embeddings: what is kept of those baselines that new EEG can be given to."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from einops import rearrange
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from brain2image import __version__
from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError, reason
from brain2image.formats.files import read_json, write_json
from brain2image.models.windows import Windows
from brain2image.training_set.means import Pairs

# The baselines that are linear in the EEG. Of the others nothing is kept: they need all training EEG
# (nearest_image, kernel_ridge), a network of their own (mlp, cbramod_*) or no EEG (mean_target, clip_oracle).
LINEAR_BASELINES = (
    *("ridge", "ridge_paired", "ridge_others", "ridge_all", "pls", "pls_paired"),
    *("two_step", "two_step_paired", "two_step_others", "two_step_all"),
)
PARTS = ("weight", "offset")  # of a layer, as the tensors 0.weight, 0.offset, 1.weight, ... are called


@dataclass(frozen=True)
class LinearModel:
    """A chain of affine maps, each ``x @ weight + offset``, from centred EEG to fMRI embeddings.

    As a predictor of `Pairs` it takes their EEG alone.
    """

    centre: np.ndarray  # (n_inputs,) float32, subtracted first, as an offset of the EEG may be large
    layers: list[tuple[np.ndarray, np.ndarray]]  # weight (n_inputs, n_outputs), offset (n_outputs,), float32

    def predict(self, eeg: np.ndarray) -> np.ndarray:
        """Predict from EEG in the unit of the training.

        Parameters
        ----------
        eeg : (n_trials, n_channels, n_times) float32.

        Returns
        -------
        (n_trials, n_features) float32
        """
        x = rearrange(eeg, "trials channels times -> trials (channels times)") - self.centre
        for weight, offset in self.layers:
            x = x @ weight + offset
        return x

    def of_person(self, response: np.ndarray, lag: int) -> "LinearModel":
        """Return the model that hears somebody less the mean response, moved in time by the lag.

        Both are affine, so that they become a part of the first layer.

        Parameters
        ----------
        response : (n_channels, n_times) float32, mean EEG of the person.
        lag : samples by which it is late, see `person_layer.move_earlier`.
        """
        (weight, offset), *layers = self.layers
        n_times = response.shape[1]
        places = (np.arange(n_times) + lag).clip(0, n_times - 1)
        by_time = weight.reshape(*response.shape, -1)
        moved = np.eye(n_times, dtype=np.float32)[places].T @ by_time  # a sum where the edge is repeated
        first = as_layer(moved.reshape(weight.shape), offset - self.centre.astype(np.float64) @ weight)
        return LinearModel(response.astype(np.float32).ravel(), [first, *layers])

    def __call__(self, pairs: Pairs) -> np.ndarray:
        """Predict from the EEG of pairs, (n_pairs, n_features) float32."""
        return self.predict(pairs.eeg)


@dataclass(frozen=True)
class Standardised:
    """An encoder of EEG whose every column is z-scored.

    As an encoder of `Pairs` it takes their EEG alone.
    """

    encode: Callable[[np.ndarray], np.ndarray]  # from (n, n_channels, n_times) to (n, n_inputs), float32
    mean: np.ndarray  # (n_inputs,)
    scale: np.ndarray  # (n_inputs,), such that a linear kernel has a mean diagonal of 1
    windows: Windows | None  # whose means it takes; None of an encoder that is not linear

    def __call__(self, pairs: Pairs) -> np.ndarray:
        """Encode pairs as (n_pairs, n_inputs) float32."""
        return ((self.encode(pairs.eeg) - self.mean) / self.scale).astype(np.float32)

    def model(
        self, weight: np.ndarray, offset: np.ndarray, *layers: tuple[np.ndarray, np.ndarray]
    ) -> LinearModel:
        """Make the model that applies these layers, of any type, to the columns once they are z-scored."""
        assert self.windows is not None  # as the encoder is linear
        first = self.windows.spread(weight / self.scale[:, None]), offset
        centre = self.windows.repeat(self.mean).astype(np.float32)
        return LinearModel(centre, [as_layer(*layer) for layer in (first, *layers)])


def as_layer(weight: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make a layer of a `LinearModel`."""
    return np.ascontiguousarray(weight, np.float32), offset.astype(np.float32)


class Baseline(NamedTuple):
    """A baseline that was read from its folder."""

    model: LinearModel
    target_mean: np.ndarray  # (n_features,) float32, mean target of the training pairs
    mean_response: np.ndarray  # (n_channels, n_times) float32, mean EEG of the training pairs


def write_baseline(
    predict: Callable[[Pairs], np.ndarray],
    *,
    name: str,
    target_mean: np.ndarray,
    mean_response: np.ndarray,
    data: Mapping[str, Any],
    model: str | Path,
    config: str | Path,
) -> None:
    """Keep a fitted baseline for `read_baseline`.

    Parameters
    ----------
    predict : the predictor; its weights are kept when it is a `LinearModel`.
    name : of the baseline.
    target_mean : (n_features,) float32, mean measured embedding of the training pairs.
    mean_response : (n_channels, n_times) float32, mean EEG of the training items.
    data : what it was fitted on, `lmdb_store.LMDBReader.describe`, and ``learned_from``.
    model, config : the files to write, safetensors and JSON.
    """
    layers = predict.layers if isinstance(predict, LinearModel) else []
    tensors = {f"{i}.{part}": layer[j] for i, layer in enumerate(layers) for j, part in enumerate(PARTS)}
    tensors |= {"centre": predict.centre} if isinstance(predict, LinearModel) else {}
    tensors |= {"target_mean": target_mean, "mean_response": np.ascontiguousarray(mean_response, np.float32)}
    with atomic_path(model) as scratch:
        save_file(tensors, scratch)
    content = {"baseline": name, "n_layers": len(layers), **data, "versions": {"brain2image": __version__}}
    write_json(config, content)


def read_baseline(run_folder: str | os.PathLike) -> Baseline:
    """Read the ``config.json`` and ``model.safetensors`` of a baseline.

    Raises
    ------
    InputError
        When it is none whose weights were kept, or a file is missing, damaged or does not fit the other.
    """
    folder = Path(run_folder)
    config = read_json(folder / "config.json")
    try:
        name, n_layers = config["baseline"], int(config["n_layers"])
        if n_layers == 0:
            raise InputError(
                f"{folder}: expected a network, or a baseline that keeps its weights "
                f"({', '.join(LINEAR_BASELINES)}), got {name}; translate with one of these"
            )
        tensors = load_file(folder / "model.safetensors")
        weights, offsets = ([tensors[f"{i}.{part}"] for i in range(n_layers)] for part in PARTS)
        layers = list(zip(weights, offsets, strict=True))
        model = LinearModel(tensors["centre"], layers)
        mean, response = tensors["target_mean"], tensors["mean_response"]
        n_channels = len(config["eeg"]["channels"])
        shape = model.predict(response[None]).shape
        if len(response) != n_channels or shape != (1, *mean.shape):
            raise ValueError("the weights do not lead from the EEG to the embedding")
    except InputError:
        raise
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise InputError(
            f"{folder}: expected a fitted baseline with config.json and model.safetensors, but "
            f"{reason(error)}; delete both and run the workflow again"
        ) from None
    return Baseline(model, mean, response)
