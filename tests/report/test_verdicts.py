"""What may be said in words follows the interval and p, not the two values."""

import pandas as pd
import pytest
from helpers.report_tables import comparisons, summary

from brain2image.report.verdicts import ABOVE, BELOW, UNCLEAR, against_baselines, p_value, relation


@pytest.mark.parametrize(
    ("low", "high", "p", "floor", "expected"),
    [
        (0.1, 0.3, 0.01, 0.001, ABOVE),
        (-0.3, -0.1, 0.01, 0.001, BELOW),
        (-0.1, 0.3, 0.01, 0.001, UNCLEAR),  # the interval holds zero
        (0.1, 0.3, 0.2, 0.001, UNCLEAR),  # p does not leave chance out
        (0.1, 0.3, 0.2, 0.1, ABOVE),  # so few brains cannot give a smaller p
        (None, None, 0.01, 0.001, ABOVE),  # all pictures differ alike: there is no interval
        (None, None, 0.2, 0.001, UNCLEAR),
    ],
)
def test_a_relation_is_that_of_the_interval(low, high, p, floor, expected):
    difference = -0.2 if expected == BELOW else 0.2
    row = {"difference": difference, "low": low, "high": high, "p_holm": p, "p_floor": floor}
    assert relation(pd.Series(row)) == expected


def test_a_network_at_chance_is_compared_with_nothing():
    table = summary(p=0.4, flatten=0.4, ridge=0.2)
    sentence = against_baselines(table, comparisons(0.2, 0.01))
    assert sentence == "No network is above chance; the best is flatten."


def test_a_small_p_has_a_bound():
    assert (p_value(0.0004), p_value(0.0124)) == ("p < 0.001", "p = 0.012")
