"""Whether what a run learned from several people knows the pictures on which one of them is tested."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from brain2image.training_set.lmdb_store import LMDBReader


def audit_people(
    test: pd.DataFrame,
    tested: str,
    readers: Sequence[LMDBReader],
    *,
    people: str | list[str],
    is_calibrated: bool = False,
) -> dict[str, Any]:
    """Count the test pairs that any person's EEG taught the run something of.

    Parameters
    ----------
    test : eeg_image, fmri_image, concept of the test pairs.
    tested : the person whose EEG is tested.
    readers : the training sets that were learned from, the tested person's own too where it was.
    people : the run's option.
    is_calibrated : whether it was fitted to the tested person afterwards.

    Returns
    -------
    learned_from : their names.
    knows_tested : whether the tested person is one of them, which ``others`` must not know unless it was
        calibrated.
    shared_with_training : number of test pairs whose EEG picture, concept or fMRI picture is one that is
        learned from, of whomsoever.
    """
    names = sorted({name for reader in readers for name in reader.people})
    learned = pd.concat([reader.pictures[reader.pictures["split"] == "train"] for reader in readers])
    partners = pd.concat([reader.pairs[reader.pairs["split"] == "train"] for reader in readers])
    return {
        "people": people,
        "learned_from": names,
        "knows_tested": tested in names,
        "is_calibrated": is_calibrated,
        "shared_with_training": {
            "EEG pictures": int(test["eeg_image"].isin(learned["image"]).sum()),
            "concepts": int(test["concept"].isin(learned["concept"]).sum()),
            "fMRI pictures": int(test["fmri_image"].isin(partners["fmri_image"]).sum()),
        },
    }
