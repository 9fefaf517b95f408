"""What a run's folder holds: a network, or a baseline whose weights were kept."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brain2image.constants.predictors import RESERVED_RUNS
from brain2image.core.devices import compute_device
from brain2image.core.errors import InputError
from brain2image.formats.files import read_json
from brain2image.models.alignment import AlignmentModel
from brain2image.models.linear_model import LINEAR_BASELINES, read_baseline
from brain2image.weights.hub_runs import PREFIX, fetch_run

# Gives (n_trials, n_features) float32 for EEG (n_trials, n_channels, n_times) float32 in the training's unit;
# that of a network takes ``person`` and ``response`` as well, see `AlignmentModel.predict`.
Predict = Callable[..., np.ndarray]


class Model(NamedTuple):
    """What a run has learned, to predict with.

    Attributes
    ----------
    config : ``config.json``.
    predict : gives embeddings (n_trials, n_features) float32 for EEG, see `load_model`.
    target_mean : (n_features,) float32, mean embedding of the training pairs.
    mean_response : (n_channels, n_times) float32, mean EEG of the training trials, in their unit.
    people : who have a layer of their own, of a run of several people.
    fitted_to : whom it was calibrated to.
    """

    config: dict[str, Any]
    predict: Predict
    target_mean: np.ndarray
    mean_response: np.ndarray
    people: tuple[str, ...] = ()
    fitted_to: str | None = None


def load_model(run_folder: str | os.PathLike) -> Model:
    """Read a trained network, or a baseline whose weights were kept, from its run folder or from the Hub.

    ``hf://owner/name``, with ``@revision`` if need be, is downloaded once into the Hub's cache.

    ``predict`` of what is returned takes EEG (n_trials, n_channels, n_times) float32 as the training's, whose
    channels, rate and unit ``config["eeg"]`` names, and gives embeddings (n_trials, n_features) float32.

    Of a run of several people, ``people``, it hears EEG as somebody new's whose mean response is that of
    these people; ``predict(eeg, response=mean)``, with the mean EEG over that person's own trials
    (n_channels, n_times), is better, and ``predict(eeg, person=name)`` takes the layer of one whom the run
    knows. That of a calibrated run takes the layer of the person whom it was fitted to.

    Raises
    ------
    InputError
        When the folder holds neither, or something is missing or damaged.
    """
    folder = fetch_run(str(run_folder)) if str(run_folder).startswith(PREFIX) else Path(run_folder)
    path = folder / "config.json"
    if not path.exists() and folder.name in RESERVED_RUNS:
        raise InputError(
            f"{folder}: expected a network or one of the baselines {', '.join(LINEAR_BASELINES)}, got "
            f"{folder.name} without weights; take one of these, and where an older version has made it "
            "run the workflow again"
        )
    config = read_json(path) if path.exists() else {}
    if isinstance(config, dict) and "baseline" in config:
        baseline = read_baseline(folder)
        return Model(config, baseline.model.predict, baseline.target_mean, baseline.mean_response)
    model = AlignmentModel.load(folder)
    centre, response = (buffer.clone().numpy() for buffer in (model.target_mean, model.mean_response))
    model.to(compute_device())
    fitted_to = model.people[0] if "calibration" in config else None

    def predict(
        eeg: np.ndarray, person: str | None = fitted_to, response: np.ndarray | None = None
    ) -> np.ndarray:
        return model.predict(eeg, person, response).numpy()

    return Model(config, predict, centre, response, model.people, fitted_to)
