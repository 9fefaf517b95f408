"""The audit of a split finds what was planted."""

import numpy as np
import pandas as pd
import pytest

from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.overlap import WINDOW
from brain2image.pairs.split_audit import Stored, audit_split

SECOND = round(1000 * WINDOW)  # samples


@pytest.fixture
def tables():
    """Six pairs: three in training, one in val, two in test; nothing is shared but what a test plants.

    EEG picture 6 is in no pair, but learned from.
    """
    things = pd.DataFrame(
        {
            "image": range(8),
            "concept": ["cat", "cat", "dog", "owl", "fly", "emu", "ant", "bee"],
            "partition": ["train"] * 7 + ["test"],
        }
    )
    nsd = pd.DataFrame({"image": range(100, 108), "shared1000": [False] * 4 + [True] * 4})
    pairs = pd.DataFrame(
        {
            "eeg_image": [0, 1, 2, 3, 4, 5],
            "fmri_image": [100, 101, 102, 103, 104, 105],
            "split": ["train"] * 3 + ["val"] + ["test"] * 2,
        }
    )
    pictures = pd.DataFrame({"image": range(7), "split": [*pairs["split"], "train"]})
    eeg = pd.DataFrame(
        {
            "image": np.repeat(range(8), 2),
            "session": [0, 1] * 8,
            "onset": np.repeat(range(8), 2) * 10 * SECOND,
        }
    )
    fmri = pd.DataFrame({"image": [*np.repeat(range(100, 107), 3), 107]})
    # orthogonal pictures: none resembles another
    features = np.eye(16, dtype=np.float32)
    # best first: of the four that are in no split, one is worse than all that are
    candidates = pd.DataFrame(
        {
            "eeg_image": [6, 0, 1, 8, 2, 3, 9, 4, 5, 7],
            "fmri_image": [106, 100, 101, 108, 102, 103, 109, 104, 105, 107],
        }
    )
    return {
        "pairs": pairs,
        "candidates": candidates,
        "eeg_pictures": things,
        "fmri_pictures": nsd,
        "stored": Stored(
            pairs, pictures, eeg, fmri, {"n_dropped": 2, "n_trials": 10}, eeg_attributes={"raw_sfreq": 1000.0}
        ),
        "encoder_images": [100, 101, 102, 106],
        "eeg": Embeddings(things["image"].to_numpy(), features[:8], "eeg.npz"),
        "fmri": Embeddings(nsd["image"].to_numpy(), features[8:], "fmri.npz"),
    }


def audit(tables, is_ridge_fitted=True):
    return audit_split(tables.pop("pairs"), is_ridge_fitted=is_ridge_fitted, is_exact=False, **tables)


def test_a_clean_split_is_clean(tables):
    assert audit(tables) == {
        "is_exact": False,
        "n_pairs": {"train": 3, "val": 1, "test": 2},
        "n_passed_over": 3,
        "n_without_eeg": 0,
        "n_pictures": 4,
        "ridge_fitted_targets": {"train": 1.0, "val": 1.0, "test": 0.0},
        "overlapping_test_trials": 0.0,
        "whitened_by_test": 0.0,
        "overlapping_trials": {"n_dropped": 2, "n_trials": 10},
        "shared_with_training": {
            "val": {"EEG pictures": 0, "fMRI pictures": 0, "concepts": 0},
            "test": {"EEG pictures": 0, "fMRI pictures": 0, "concepts": 0},
        },
        "near_duplicates": {"val": 0, "test": 0},
        "picture_encoder": {
            "val": {"pictures": 0, "near_duplicates": 0},
            "test": {"pictures": 0, "near_duplicates": 0},
        },
        "trials_per_image": {
            "train": {"eeg": {"2": 3}, "fmri": {"3": 3}},
            "val": {"eeg": {"2": 1}, "fmri": {"3": 1}},
            "test": {"eeg": {"2": 2}, "fmri": {"3": 2}},
        },
    }


def test_a_ridge_that_was_fitted_on_nothing_has_fitted_no_target(tables):
    counts = audit(tables, is_ridge_fitted=False)
    assert counts["ridge_fitted_targets"] == {"train": 0.0, "val": 0.0, "test": 0.0}


def test_planted_leaks_are_counted(tables):
    """Among the pictures of training pairs."""
    tables["eeg_pictures"].loc[4, "concept"] = "dog"
    tables["pairs"].loc[5, ["eeg_image", "fmri_image"]] = (0, 102)
    counts = audit(tables)
    assert counts["shared_with_training"]["test"] == {"EEG pictures": 1, "fMRI pictures": 1, "concepts": 2}
    assert counts["ridge_fitted_targets"]["test"] == 0.5


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([4, 5, 6], {"EEG pictures": 1, "fMRI pictures": 0, "concepts": 1}),  # the test picture itself
        ([6, 7], {"EEG pictures": 0, "fMRI pictures": 0, "concepts": 1}),  # another picture of its concept
    ],
)
def test_leaks_of_pictures_without_a_pair_are_counted(tables, images, expected):
    """They are learned from with predicted targets."""
    tables["eeg_pictures"].loc[7, "concept"] = tables["eeg_pictures"]["concept"][4]
    pictures = pd.DataFrame({"image": images, "split": "train"}).replace({"image": {5: 1}})
    tables["stored"] = tables["stored"]._replace(pictures=pictures)
    counts = audit(tables)
    assert (counts["n_pictures"], counts["shared_with_training"]["test"]) == (len(images), expected)


def test_a_near_duplicate_among_pictures_without_a_pair_is_found(tables):
    tables["eeg"].features[4] = tables["eeg"].features[6]
    assert audit(tables)["near_duplicates"] == {"val": 0, "test": 1}


def test_test_pictures_that_the_picture_encoder_was_fitted_on_are_counted(tables):
    """The very same, and those that nearly equal one, on either side; nobody trains on pairs of them."""
    tables["encoder_images"] = [100, 101, 102, 103, 105, 106]
    tables["eeg"].features[4] = tables["fmri"].features[6]
    counts = audit(tables)
    assert counts["picture_encoder"] == {
        "val": {"pictures": 1, "near_duplicates": 1},
        "test": {"pictures": 1, "near_duplicates": 2},
    }
    assert set(counts["shared_with_training"]["test"].values()) | {counts["near_duplicates"]["test"]} == {0}


def test_without_a_picture_encoder_there_is_nothing_to_look_at(tables):
    tables["encoder_images"] = None
    assert audit(tables)["picture_encoder"] is None


@pytest.mark.parametrize(("copied", "original"), [("eeg", "eeg"), ("fmri", "fmri"), ("fmri", "eeg")])
def test_near_duplicates_are_found_in_both_sets_and_between_them(tables, copied, original):
    """The picture of test pair 4 nearly equals that of training pair 1; that of val pair 3 only a little."""
    noise = np.zeros(16, np.float32)
    noise[6] = 0.3  # cosine 0.958
    tables[copied].features[4] = tables[original].features[1] + noise
    tables[copied].features[3] = tables[original].features[2] + 2 * noise
    assert audit(tables)["near_duplicates"] == {"val": 0, "test": 1}


def test_trials_are_counted_by_image(tables):
    tables["pairs"].loc[5, "fmri_image"] = 107
    assert audit(tables)["trials_per_image"]["test"]["fmri"] == {"1": 1, "3": 1}


@pytest.mark.parametrize(
    ("distance", "share"), [(SECOND, 0), (WINDOW - 1, 0.25), (1 - WINDOW, 0.25), (0, 0.25)]
)
def test_overlapping_samples_are_found_in_the_same_file_alone(tables, distance, share):
    eeg = tables["stored"].eeg_trials
    row = eeg.index[(eeg["image"] == 4) & (eeg["session"] == 1)]
    eeg.loc[row, "onset"] = eeg.loc[(eeg["image"] == 2) & (eeg["session"] == 1), "onset"].item() + distance
    assert audit(tables)["overlapping_test_trials"] == share


def test_trials_of_pictures_without_a_pair_overlap_too(tables):
    """Picture 6 is learned from; 7 is not, and its trials are in another run, in another file."""
    eeg = tables["stored"].eeg_trials
    of = {image: eeg.index[eeg["image"] == image] for image in (4, 6, 7)}
    eeg.loc[of[7], "onset"] = eeg.loc[of[4], "onset"].to_numpy()
    assert audit(dict(tables))["overlapping_test_trials"] == 0
    eeg.loc[of[6], "onset"] = eeg.loc[of[4], "onset"].to_numpy() + 1
    assert audit(tables)["overlapping_test_trials"] == 0.5


def test_unknown_onsets_are_not_guessed(tables):
    tables["stored"].eeg_trials["onset"] = -1
    assert audit(tables)["overlapping_test_trials"] is None


@pytest.mark.parametrize(
    ("recipe", "share"),
    [
        ({"whiten": "session"}, 0.5),
        ({"whiten": "none", "clip": 5.0}, 0.5),
        ({"whiten": "none", "clip": 0.0}, 0),
    ],
)
def test_eeg_that_was_whitened_by_test_trials_is_counted(tables, recipe, share):
    """By all but those of pictures that the EEG's authors kept for testing, of which one is tested here."""
    tables["eeg_pictures"].loc[5, "partition"] = "test"
    tables["stored"] = tables["stored"]._replace(eeg_attributes={"raw_sfreq": 1000.0} | recipe)
    assert audit(tables)["whitened_by_test"] == share
