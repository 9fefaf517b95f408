"""Trials that share samples are found as a loop over all of them finds them."""

import numpy as np
import pandas as pd
import pytest

from brain2image.core.errors import InputError
from brain2image.pairs.overlap import WINDOW, overlapping

SFREQ = 512.0  # Hz


def draw(rng, n_trials):
    return pd.DataFrame(
        {
            "session": rng.integers(0, 3, n_trials),
            "partition": rng.choice(["train", "test"], n_trials),
            "onset": rng.integers(0, 40_000, n_trials),
        },
        index=rng.permutation(n_trials),
    )


def test_against_a_loop(rng):
    trials, others = draw(rng, 200), draw(rng, 60)
    expected = [
        any(
            (one.session, one.partition) == (other.session, other.partition)
            and abs(one.onset - other.onset) < WINDOW * SFREQ
            for other in others.itertuples()
        )
        for one in trials.itertuples()
    ]
    assert 20 < sum(expected) < 180
    np.testing.assert_array_equal(overlapping(trials, others, sfreq=SFREQ), expected)


@pytest.mark.parametrize(
    ("distance", "expected"), [(0, True), (999, True), (-999, True), (1000, False), (-1000, False)]
)
def test_a_second_overlaps_what_begins_within_it(distance, expected):
    other = pd.DataFrame({"session": [1], "partition": ["train"], "onset": [5000]})
    assert overlapping(other.assign(onset=5000 + distance), other, sfreq=1000.0).tolist() == [expected]


def test_nobody_knows_where_an_onset_is_missing(rng):
    trials, others = draw(rng, 5), draw(rng, 5)
    assert overlapping(trials.assign(onset=-1), others, sfreq=None) is None
    assert overlapping(trials, others.assign(onset=-1), sfreq=None) is None
    assert not overlapping(trials, others[:0], sfreq=SFREQ).any()


def test_onsets_without_a_rate_are_refused(rng):
    with pytest.raises(InputError, match="expected raw_sfreq"):
        overlapping(draw(rng, 5), draw(rng, 5), sfreq=None)
