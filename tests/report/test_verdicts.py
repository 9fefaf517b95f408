"""What may be said in words follows the interval and p, not the two values."""

import pandas as pd
import pytest
from helpers.report_tables import comparisons, summary

from brain2image.report.verdicts import (
    ABOVE,
    BELOW,
    UNCLEAR,
    against_baselines,
    learned_from,
    p_value,
    relation,
    whose_eeg,
)


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
    [sentence] = against_baselines(table, comparisons(0.2, 0.01))
    assert sentence == "No network is above chance; the best is flatten."


def several(seeds, pairs):
    """The summary of a network and two baselines on so many seeds and on these pairs of brains."""
    table = summary(pairs, flatten=0.4, ridge=0.3, pls=0.2)
    networks = [table[table["run"] == "flatten"].assign(seed=seed) for seed in range(seeds)]
    return pd.concat([*networks, table[table["run"] != "flatten"].assign(seed=None)])


@pytest.mark.parametrize(
    ("seeds", "pairs", "over"),
    [
        (1, ["a_subj01"], "8 concepts"),
        (2, ["a_subj01"], "8 concepts and 2 seeds"),
        (3, ["a_subj01", "b_subj01"], "8 concepts, 3 seeds and 2 EEG people"),
        (1, ["a_subj01", "b_subj01", "a_subj02"], "8 concepts, 2 EEG people and 2 fMRI people"),
    ],
)
def test_a_verdict_says_what_it_is_over_and_what_one_seed_cannot_say(seeds, pairs, over):
    rows = comparisons(0.2, 0.01, pairs if len(pairs) == 1 else ["all"])
    [sentence] = against_baselines(several(seeds, pairs), rows)
    assert f"(+15.0 to +25.0 over {over}; p = 0.010 after Holm's correction)" in sentence
    assert ("One seed says nothing about training it again" in sentence) == (seeds == 1)


def test_the_best_of_several_is_said_to_be_chosen_on_test():
    rows = pd.concat([comparisons(0.2, 0.01), comparisons(0.3, 0.01).assign(baseline="pls")])
    [sentence] = against_baselines(several(2, ["things-01_subj01"]), rows)
    expected = "flatten, the only network, is above ridge, the best of 2 baselines (chosen on test): +20.0"
    assert sentence.startswith(expected)


def test_so_few_concepts_are_said_to_give_no_small_p():
    [sentence] = against_baselines(
        several(1, ["a_subj01"]), comparisons(0.2, 0.5, ["a_subj01"]).assign(p_floor=0.125)
    )
    assert "is above" in sentence
    assert "so few concepts cannot give a p below 0.12" in sentence


def test_networks_stand_beside_baselines_of_the_same_people():
    runs = {"flatten": 0.4, "flatten_others": 0.2, "flatten_others_cal-8": 0.5, "ridge": 0.3}
    table = summary(**runs, ridge_others=0.1)
    rows = [comparisons(0.1, 0.01), comparisons(0.1, 0.01, run="flatten_others", baseline="ridge_others")]
    own, others, calibrated = against_baselines(table, pd.concat(rows))
    start = "Learned from the person's own EEG: flatten, the only network, is above ridge, the only baseline:"
    assert own.startswith(start)
    assert others.startswith(
        "Learned from other people's EEG: flatten_others, the only network, is above ridge_"
    )
    assert calibrated == (
        "Learned from other people's EEG, and some of the person's own: flatten_others_cal-8, the only "
        "network, was compared with no baseline that learned from the same people."
    )


def test_people_whom_the_config_lists_are_named():
    table = summary(flatten=0.4, ridge=0.2).assign(people="things-01 things-02")
    assert set(whose_eeg(table)) == {"the EEG of things-01 things-02"}


def test_a_small_p_has_a_bound():
    assert (p_value(0.0004), p_value(0.0124)) == ("p < 0.001", "p = 0.012")


def test_what_was_learned_from_is_said_of_all_but_oracles():
    table = summary(flatten=0.4, attention=0.4, ridge=0.2, ceiling=0.8)
    expected = "predicted, 80 pictures (flatten, attention); predicted, 90 pictures (ridge)."
    assert learned_from(table) == f"Targets and pictures learned from: {expected}"
