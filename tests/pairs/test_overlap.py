"""Trials that share samples are found as a loop over all of them finds them."""

import numpy as np
import pandas as pd
import pytest

from brain2image.pairs.overlap import WINDOW, overlapping


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
            and abs(one.onset - other.onset) < WINDOW
            for other in others.itertuples()
        )
        for one in trials.itertuples()
    ]
    assert 20 < sum(expected) < 180
    np.testing.assert_array_equal(overlapping(trials, others), expected)


@pytest.mark.parametrize(
    ("distance", "expected"), [(0, True), (999, True), (-999, True), (1000, False), (-1000, False)]
)
def test_a_second_overlaps_what_begins_within_it(distance, expected):
    other = pd.DataFrame({"session": [1], "partition": ["train"], "onset": [5000]})
    assert overlapping(other.assign(onset=5000 + distance), other).tolist() == [expected]


def test_nobody_knows_where_an_onset_is_missing(rng):
    trials, others = draw(rng, 5), draw(rng, 5)
    assert overlapping(trials.assign(onset=-1), others) is None
    assert overlapping(trials, others.assign(onset=-1)) is None
    assert not overlapping(trials, others[:0]).any()
