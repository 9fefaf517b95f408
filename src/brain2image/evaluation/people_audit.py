"""Whether what a run learned from several people knows the pictures on which one of them is tested."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from brain2image.pairs.clip_embeddings import Embeddings, read_embeddings
from brain2image.pairs.duplicates import find_near_duplicates
from brain2image.pairs.tested_pictures import read_tested
from brain2image.training_set.lmdb_store import LMDBReader


class OtherSets(NamedTuple):
    """What is needed to find pictures on which a run is tested in data sets of other pictures.

    Attributes
    ----------
    eeg, fmri : (n_pairs, n_features) float32 CLIP features of the pictures of the test pairs.
    pictures : embeddings of the EEG's pictures of the other data sets, by the name of the picture set.
    scanned : embeddings of the fMRI's pictures.
    """

    eeg: np.ndarray
    fmri: np.ndarray
    pictures: Mapping[str, Embeddings]
    scanned: Embeddings

    @classmethod
    def read(cls, files: Mapping[str, Sequence[str]]) -> "OtherSets":
        """Read it from ``tested``, ``fmri_embeddings`` and ``of_NAME`` for each set of pictures."""
        scanned = read_embeddings(files["fmri_embeddings"])
        tested = read_tested(files["tested"], clip=scanned.clip, test_only=True)
        names = [name for name in files if name.startswith("of_")]
        pictures = {name.removeprefix("of_"): read_embeddings(files[name]) for name in names}
        return cls(*tested, pictures, scanned)

    def count_known(self, readers: Sequence[LMDBReader]) -> int:
        """Count the test pairs with a picture that nearly equals one that is learned from."""
        learned = [
            features
            for reader in readers
            for features in (
                self.pictures[reader.meta["picture_set"]].of(_trained(reader.pictures)["image"]),
                self.scanned.of(_trained(reader.pairs)["fmri_image"]),
            )
        ]
        known = [find_near_duplicates(side, np.concatenate(learned)) for side in (self.eeg, self.fmri)]
        return int(np.logical_or(*known).sum())


def audit_people(
    test: pd.DataFrame,
    tested: str,
    readers: Sequence[LMDBReader],
    *,
    own: str,
    people: str | list[str],
    is_calibrated: bool = False,
    others: OtherSets | None = None,
) -> dict[str, Any]:
    """Count the test pairs that any person's EEG taught the run something of.

    Parameters
    ----------
    test : eeg_image, fmri_image, concept of the test pairs.
    tested : the person whose EEG is tested.
    readers : the training sets that were learned from, the tested person's own too where it was.
    own : name of the picture set on which is tested.
    people : the run's option.
    is_calibrated : whether it was fitted to the tested person afterwards.
    others : where pictures of other sets were learned from too.

    Returns
    -------
    learned_from : their names.
    knows_tested : whether the tested person is one of them, which ``others`` must not know unless it was
        calibrated.
    shared_with_training : number of test pairs whose EEG picture, concept or fMRI picture is one that is
        learned from, of whomsoever; and of other sets of pictures those with a near duplicate there.
    """
    names = sorted({name for reader in readers for name in reader.people})
    of_set = [reader for reader in readers if reader.meta["picture_set"] == own]
    nothing = pd.DataFrame({"image": [], "concept": []})
    learned = pd.concat([nothing, *(_trained(reader.pictures) for reader in of_set)])
    partners = pd.concat([_trained(reader.pairs) for reader in readers])
    shared = {
        "EEG pictures": int(test["eeg_image"].isin(learned["image"]).sum()),
        "concepts": int(test["concept"].isin(learned["concept"]).sum()),
        "fMRI pictures": int(test["fmri_image"].isin(partners["fmri_image"]).sum()),
    }
    if others is not None:
        elsewhere = [reader for reader in readers if reader.meta["picture_set"] != own]
        shared["near duplicates elsewhere"] = others.count_known(elsewhere)
    return {
        "people": people,
        "learned_from": names,
        "knows_tested": tested in names,
        "is_calibrated": is_calibrated,
        "shared_with_training": shared,
    }


def _trained(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["split"] == "train"]
