"""Calibration of a trained run to a person whom it does not know."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from brain2image import __version__
from brain2image.core.atomic import atomic_path
from brain2image.core.devices import compute_device
from brain2image.core.errors import InputError
from brain2image.evaluation.statistics import interval
from brain2image.formats.files import read_json, write_json
from brain2image.models.alignment import AlignmentModel
from brain2image.models.calibration import Calibration, Shared, cosines, fit_calibration, fold_out
from brain2image.models.person_layer import move_earlier
from brain2image.models.windows import Windows
from brain2image.training_set.items import item_targets, list_items
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import list_eeg_trials, mean_response, trial_means

logger = logging.getLogger(__name__)

PLAIN = {"person_layer": "none"}  # of a calibrated model, which rotates the channels instead
LEAST = 4  # pictures, of which inner folds can choose anything


class Seen(NamedTuple):
    """What a person saw, and what the EEG was."""

    person: str
    eeg: np.ndarray  # (n_pictures, n_channels, n_times) float32, the mean over each picture's trials
    targets: np.ndarray  # (n_pictures, n_features) float32, embeddings of the pictures
    groups: np.ndarray  # (n_pictures,), what of the pictures belongs together, such as concepts
    response: np.ndarray  # (n_channels, n_times) float32, the mean EEG over all trials
    n_trials: int


def calibrate_to_training_set(
    run_folder: str | Path, lmdb: str | Path, *, n_pictures: int, model: str | Path, config: str | Path
) -> None:
    """Fit a run to the person of a training set, by so many of its training pictures.

    Fewer pictures are always among more, and are of as many concepts as there are. Their targets are those
    that the run learned from.

    Parameters
    ----------
    run_folder : of the trained run, which must not know the person.
    lmdb : the person's training set.
    n_pictures : how many are learned from.
    model, config : files to write, safetensors and JSON.

    Raises
    ------
    InputError
        When the person has fewer pictures.
    """
    record = read_json(Path(run_folder) / "config.json")
    options = record["training"]
    interpolates = options["missing_channels"] == "interpolate"
    reader = LMDBReader(lmdb, record["eeg"]["channels"], interpolates=interpolates)
    items = list_items(reader, "train", targets=options["targets"], pictures=options["pictures"])
    items = items.drop_duplicates("image").reset_index(drop=True)  # of two targets the first, a prediction
    if n_pictures > len(items):
        raise InputError(
            f"{lmdb}: expected {n_pictures} training pictures to calibrate with, got {len(items)}; lower "
            "calibrations"
        )
    chosen = _draw_pictures(items, seed=record["seed"]).iloc[:n_pictures].reset_index(drop=True)
    trials = list_eeg_trials(reader, chosen)
    seen = Seen(
        reader.people[0],
        trial_means(reader, "eeg", trials),
        item_targets(reader, chosen),
        chosen["concept"].to_numpy(),
        mean_response(reader, items).astype(np.float32),
        sum(map(len, trials)),
    )
    aligner = AlignmentModel.load(run_folder).to(compute_device())
    calibrated, found = calibrate_model(aligner, seen)
    logger.info("%s", describe(found))
    write_calibrated(calibrated, found, record, model=model, config=config)


def _draw_pictures(items: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Draw an order of pictures in which every concept has its turn before one comes again."""
    drawn = items.iloc[np.random.default_rng(seed).permutation(len(items))]
    return drawn.iloc[np.argsort(drawn.groupby("concept").cumcount().to_numpy(), kind="stable")]


def write_calibrated(
    aligner: AlignmentModel,
    found: dict[str, Any],
    record: dict[str, Any],
    *,
    model: str | Path,
    config: str | Path,
) -> None:
    """Write a calibrated model as the two files of a run folder.

    Parameters
    ----------
    aligner, found : what `calibrate_model` returned.
    record : ``config.json`` of the run that was calibrated.
    """
    with atomic_path(model) as scratch:
        save_file({name: tensor.cpu().contiguous() for name, tensor in aligner.state_dict().items()}, scratch)
    versions = record["versions"] | {"brain2image": __version__}
    changed = {
        "model": record["model"] | PLAIN,
        "calibration": found,
        "people_known": list(aligner.people),
        "versions": versions,
    }
    write_json(config, record | changed)


def calibrate_model(aligner: AlignmentModel, seen: Seen) -> tuple[AlignmentModel, dict[str, Any]]:
    """Fit a model to a person whom it does not know, see `models.calibration`.

    Parameters
    ----------
    aligner : the trained model, which stays as it is.
    seen : EEG, as the training's, and targets.

    Returns
    -------
    The calibrated model, and what was found: ``person``, ``n_pictures``, ``n_trials``, ``fitted`` (in words),
    ``cosine`` of pictures that it was not fitted to with their targets, ``gain`` over the model as it was,
    and ``low`` and ``high``, the 95 % interval of that over groups.

    Raises
    ------
    InputError
        When there are too few pictures, the model has no linear path, or an older version trained it.
    """
    check_calibration(aligner, seen.person, seen.groups)
    centred = move_earlier(seen.eeg - seen.response, aligner.lag_of(seen.response))
    shared, eeg = _shared_path(aligner), _smooth(aligner, centred)
    coordinates = _coordinates(aligner, seen.targets)
    calibration = fit_calibration(eeg, coordinates, seen.groups, shared)
    before, after = np.zeros((2, len(eeg)))
    before[:] = _agreement(aligner, seen.eeg, seen, known=False)
    for rows, fitted in fold_out(eeg, coordinates, seen.groups, shared):
        part = seen._replace(targets=seen.targets[rows])
        after[rows] = _agreement(personalise(aligner, fitted, seen), seen.eeg[rows], part, known=True)
    found = {
        "person": seen.person,
        "n_pictures": len(eeg),
        "n_trials": seen.n_trials,
        "fitted": str(calibration.strengths),
        **_gain(before, after, seen.groups),
    }
    return personalise(aligner, calibration, seen), found


def check_calibration(aligner: AlignmentModel, person: str, groups: np.ndarray) -> None:
    """Raise InputError where a model cannot be calibrated, knows the person, or there are too few groups."""
    n_groups = len(np.unique(groups))
    if n_groups < LEAST:
        raise InputError(
            f"calibrate: expected pictures of at least {LEAST} concepts, got {n_groups}; show more"
        )
    path = aligner.linear_path
    if path is None or not path.pattern.any():
        raise InputError(
            "calibrate: expected a run with a linear path (model.linear_axes) that this version has trained, "
            "got one without what people share in it; train it again"
        )
    if person in aligner.people:
        raise InputError(f"calibrate: expected somebody whom the run does not know, got {person}")


def describe(found: dict[str, Any]) -> str:
    """Say how much a calibration helps, by what `calibrate_model` found."""
    text = (
        f"calibrated to {found['person']} by {found['n_pictures']} pictures ({found['n_trials']} trials), "
        f"fitted: {found['fitted']}. Cosine of unseen pictures with their targets {found['cosine']:.3f}, "
        f"{found['gain']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}] against the run as it was"
    )
    if found["low"] > 0:
        return f"{text}: it helps"
    return f"{text}: it is not shown to help; more pictures may"


def personalise(aligner: AlignmentModel, calibration: Calibration, seen: Seen) -> AlignmentModel:
    """Return the model with what is the person's own in it."""
    path = aligner.linear_path
    assert path is not None  # as `calibrate_model` has looked
    model = AlignmentModel(
        aligner.config.model_copy(update=PLAIN),
        aligner.layout,
        len(aligner.target_mean),
        [seen.person],
        is_calibrated=True,
    ).to(aligner.target_mean.device)
    assert model.person_layer is not None and model.linear_path is not None
    shared = {name: value for name, value in aligner.state_dict().items() if "person_" not in name}
    loaded = model.load_state_dict(shared, strict=False)
    assert not loaded.unexpected_keys and all("person_" in name for name in loaded.missing_keys)
    model.person_layer.response[0] = torch.from_numpy(seen.response)
    model.person_layer.lag[0] = aligner.lag_of(seen.response)
    model.person_layer.rotation[0] = torch.from_numpy(calibration.rotation)
    model.person_layer.common.copy_(_common(aligner))
    model.linear_path.person_weight[0] = torch.from_numpy(calibration.weight)
    # the term is of the EEG less its mean, and what the path is given has the common mean in it
    offset = (
        torch.from_numpy(calibration.offset).to(path.weight)
        - _common(aligner).flatten() @ (model.linear_path.person_weight[0])
    )
    model.linear_path.person_offset[0] = offset
    return model.eval()


def _common(aligner: AlignmentModel) -> torch.Tensor:
    """Return the mean response that the network and its path expect in the EEG, (n_channels, n_times)."""
    layer = aligner.person_layer
    return aligner.mean_response if layer is None else layer.common


def _shared_path(aligner: AlignmentModel) -> Shared:
    path = aligner.linear_path
    assert path is not None  # as `calibrate_model` has looked
    offset = path.offset + _common(aligner).flatten() @ path.weight
    pattern = path.pattern.reshape(len(path.pattern), *aligner.mean_response.shape)
    return Shared(*(part.cpu().numpy().astype(np.float64) for part in (path.weight, offset, pattern)))


def _smooth(aligner: AlignmentModel, eeg: np.ndarray) -> np.ndarray:
    layout = aligner.layout
    return Windows(layout.n_times, layout.sfreq, aligner.config.linear_window).smooth(eeg)


def _standardise(aligner: AlignmentModel, embeddings: np.ndarray) -> np.ndarray:
    mean, scale = aligner.target_mean.cpu().numpy(), aligner.target_scale.cpu().numpy()
    return (embeddings - mean) / scale


def _coordinates(aligner: AlignmentModel, targets: np.ndarray) -> np.ndarray:
    """Return the coordinates of embeddings on the linear path's axes, (n, n_axes) float64."""
    assert aligner.linear_path is not None  # as `calibrate_model` has looked
    axes = aligner.linear_path.axes.cpu().numpy().astype(np.float64)
    lengths = np.square(axes).sum(axis=1)
    products = _standardise(aligner, targets) @ axes.T
    return np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)


def _agreement(aligner: AlignmentModel, eeg: np.ndarray, seen: Seen, *, known: bool) -> np.ndarray:
    """Return the cosine of each prediction with its target, as scores are: less the mean target."""
    who = {"person": seen.person} if known else {"response": seen.response}
    predictions = aligner.predict(eeg, **who).numpy()
    return cosines(_standardise(aligner, predictions), _standardise(aligner, seen.targets))


def _gain(before: np.ndarray, after: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    numbers = pd.factorize(groups)[0]
    gain = after - before
    low, high = interval(gain, numbers, reduce=np.mean, seed=0) or (gain.mean(), gain.mean())
    return {"cosine": after.mean(), "gain": gain.mean(), "low": low, "high": high}
