"""Whose EEG a run of several people hears: somebody's whom it knows, or somebody new's."""

import logging
import os
from collections.abc import Iterator
from functools import partial

import numpy as np

from brain2image.core.errors import InputError
from brain2image.translation.as_trained import BLOCK_TRIALS, spool
from brain2image.translation.loading import Model, Predict
from brain2image.translation.prepared import Prepared

logger = logging.getLogger(__name__)

UNKNOWN = "unknown to the run"  # stands in files for the name of somebody new
FEW = 20  # events; of fewer, the mean over trials holds much of what tells each apart


def choose_person(model: Model, person: str | None, *, run: str | os.PathLike) -> str | None:
    """Return whose own layer EEG goes through; None of somebody new, and of a run that has no such layers.

    Parameters
    ----------
    model, run : what a run has learned, and its folder.
    person : whom the user names; None for nobody, which of a calibrated run is whom it was fitted to.

    Raises
    ------
    InputError
        When the run does not know the person.
    """
    if person is None:
        return model.fitted_to
    if person not in model.people:
        known = ", ".join(model.people) or "nobody by name, as it learned from one person"
        raise InputError(
            f"{run}: expected a person whom this run knows ({known}), got {person!r}; leave the person out "
            "for somebody new"
        )
    return person


def listen(model: Model, prepared: Prepared, person: str | None) -> tuple[Iterator[np.ndarray], Predict]:
    """Return blocks of EEG and what predicts from them, by whose EEG it is; log it.

    Parameters
    ----------
    model : of one person or several.
    prepared : the EEG.
    person : as `choose_person` returned it. The EEG of somebody new is taken less the mean over its own
        trials, as each person's was in training.
    """
    if not model.people:
        return prepared.blocks, model.predict
    if person is not None:
        logger.info("%s: goes through the layer of %s", prepared.name, person)
        return prepared.blocks, partial(model.predict, person=person)
    eeg, mean = _spool(prepared, n_people=len(model.people))
    blocks = (eeg[start : start + BLOCK_TRIALS] for start in range(0, len(eeg), BLOCK_TRIALS))
    return blocks, partial(model.predict, response=mean)


def _spool(prepared: Prepared, *, n_people: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all trials, which lie in a temporary file, and the mean over them."""
    n_events = prepared.trials["event"].nunique()
    if n_events < 2:
        raise InputError(
            f"{prepared.name}: expected trials of several events, as of somebody new their mean is "
            "subtracted, got one event; translate more together, or name a person whom the run knows"
        )
    if n_events < FEW:
        text = (
            "%s: the mean over trials of only %d events is subtracted, and with it about 1/%d of what tells "
            "each apart; translate more at once"
        )
        logger.warning(text, prepared.name, n_events, n_events)
    eeg = spool(prepared.blocks)
    starts = range(0, len(eeg), BLOCK_TRIALS)
    total = sum(eeg[start : start + BLOCK_TRIALS].sum(axis=0, dtype=np.float64) for start in starts)
    mean = np.asarray(total / len(eeg), np.float32)
    text = "%s: goes through the layer that the run's %d people share; transductive: %s by its own %d trials"
    what = "centred and whitened" if prepared.is_whitened else "centred"
    logger.info(text, prepared.name, n_people, what, len(eeg))
    return eeg, mean
