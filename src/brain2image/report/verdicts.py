"""What may be said in words: of a network beside the baselines, and of what its training brought.

The terminal and the report's first page say the same, as both ask here.
"""

from collections.abc import Sequence

import pandas as pd

from brain2image.constants.brain_names import divide_brains
from brain2image.evaluation.comparisons import ALL_BRAINS
from brain2image.evaluation.summary import WHOSE, headline, kind, over_seeds, whose

ALPHA = 0.05
ABOVE, BELOW, UNCLEAR = "is above", "is below", "cannot be told apart from"


def relation(comparison: pd.Series) -> str:
    """Return how a network stands to a baseline, from the interval of their difference.

    The interval must leave zero out, and p after Holm's correction be below 0.05 where so few concepts can
    give that at all. Without an interval, where all concepts differ alike, p alone decides.

    Parameters
    ----------
    comparison : a row of `comparisons.compare`.
    """
    leaves_zero_out = pd.isna(comparison["low"]) or comparison["low"] > 0 or comparison["high"] < 0
    is_clear = leaves_zero_out and (comparison["p_holm"] < ALPHA or cannot_be_small(comparison))
    return UNCLEAR if not is_clear else ABOVE if comparison["difference"] > 0 else BELOW


def cannot_be_small(comparison: pd.Series) -> bool:
    """Tell whether p is 0.05 or more whatever the differences are, as there are so few concepts."""
    return bool(comparison["p_floor"] >= ALPHA)


def p_value(p: float) -> str:
    """Return ``p = 0.012``, or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def p_after_holm(comparison: pd.Series) -> str:
    """Return the p of a row of `comparisons.compare` in words; where it could not be small, why."""
    if cannot_be_small(comparison):
        return f"so few concepts cannot give a p below {comparison['p_floor']:.2g}"
    return f"{p_value(comparison['p_holm'])} after Holm's correction"


def best_run(summary: pd.DataFrame, runs: Sequence[str]) -> str | None:
    """Return the run with the highest mean top-1 over seeds and pairs of brains; None of none."""
    rows = headline(summary)
    rows = rows[(rows["metric"] == "top1") & rows["run"].isin(runs)]
    return None if rows.empty else str(rows.groupby("run")["value"].mean().idxmax())


def best_network(summary: pd.DataFrame) -> str | None:
    """Return the network with the highest mean top-1; None where all learned from CLIP features."""
    return best_run(summary, networks(summary))


def networks(summary: pd.DataFrame) -> list[str]:
    """List the networks of a summary that are held against fMRI, which those of CLIP features are not."""
    return [run for run in dict.fromkeys(headline(summary)["run"]) if kind(run) == "network"]


def best_of(n_runs: int, noun: str) -> str:
    """Return what the best run is, and that its choice has seen the test pictures.

    Parameters
    ----------
    n_runs : runs of its kind, of which `best_run` chose one by top-1 on the test pictures.
    noun : the kind.
    """
    return f"the only {noun}" if n_runs == 1 else f"the best of {n_runs} {noun}s (chosen on test)"


def above_chance(summary: pd.DataFrame, run: str) -> pd.Series:
    """Return, for each pair of brains, whether every seed of a run has a top-1 above chance, p < 0.05."""
    rows = headline(summary)
    top1 = over_seeds(rows[(rows["metric"] == "top1") & (rows["run"] == run)], ["brains"])
    return (top1["value"] > top1["chance"]) & (top1["p"] < ALPHA)


def against_baselines(summary: pd.DataFrame, comparisons: pd.DataFrame) -> list[str]:
    """Return what may be said of the best network and the best baseline that it was compared with.

    A sentence for each group of people whose EEG was learned from, which it names where there are several.

    Parameters
    ----------
    summary, comparisons : the tables, of one pair of brains or of all.
    """
    verdicts = {
        who: _verdict(network, own, comparisons)
        for who, own in summary.groupby(whose_eeg(summary), sort=False)
        if (network := best_network(own))
    }
    return [f"Learned from {who}: {text}" if len(verdicts) > 1 else text for who, text in verdicts.items()]


def whose_eeg(summary: pd.DataFrame) -> pd.Series:
    """Return in words, for each row, whose EEG was learned from."""
    keys = [whose(*row) for row in zip(summary["people"], summary["n_calibration"], strict=True)]
    words = [
        f"the EEG of {people}" if key == "listed" else WHOSE[key]
        for key, people in zip(keys, summary["people"], strict=True)
    ]
    return pd.Series(words, index=summary.index)


def _verdict(network: str, summary: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    """Return what may be said of the best of runs that have all learned from the same people."""
    if not above_chance(summary, network).any():
        return f"No network is above chance; the best is {network}."
    named = f"{network}, {best_of(len(networks(summary)), 'network')},"
    rows = comparisons[(comparisons["run"] == network) & (comparisons["metric"] == "top1")]
    baselines = list(dict.fromkeys(rows["baseline"]))
    baseline = best_run(summary, baselines)
    if baseline is None:
        return f"{named} was compared with no baseline that learned from the same people."
    rows = rows[rows["baseline"] == baseline].set_index("brains")
    row = rows.loc[ALL_BRAINS] if ALL_BRAINS in rows.index else rows.iloc[0]
    own = summary[summary["run"] == network]
    bounds = f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f} over {_drawn(own)}; "
    bounds = "" if pd.isna(row["low"]) else bounds
    return (
        f"{named} {relation(row)} {baseline}, {best_of(len(baselines), 'baseline')}: "
        f"{100 * row['difference']:+.1f} percentage points ({bounds}{p_after_holm(row)}).{_one_seed(own)}"
    )


def _drawn(summary: pd.DataFrame) -> str:
    """Name what the interval of a difference is over: concepts, seeds and people, where there are several."""
    eeg, fmri = zip(*map(divide_brains, summary["brains"]), strict=True)
    numbers = {"seeds": summary["seed"], "EEG people": eeg, "fMRI people": fmri}
    several = [f"{n} {name}" for name, levels in numbers.items() if (n := len(set(levels))) > 1]
    n_concepts = summary["n_concepts"].unique()
    concepts = f"{n_concepts[0]} concepts" if len(n_concepts) == 1 else "concepts"
    *others, last = [concepts, *several]
    return f"{', '.join(others)} and {last}" if others else last


def _one_seed(summary: pd.DataFrame) -> str:
    """Return a sentence where a run was trained with a single seed, or nothing."""
    if summary["seed"].nunique() > 1:
        return ""
    return " One seed says nothing about training it again: another may end elsewhere."


def without_network(summary: pd.DataFrame) -> list[str]:
    """Return a sentence for each run to whose predictions training, or its network, brought nothing.

    Parameters
    ----------
    summary : the table, with ``best_epoch`` and ``network_share``, which runs without an encoder lack.
    """
    trainings = summary.loc[summary["best_epoch"].notna()]
    trainings = trainings.drop_duplicates(["run", "brains", "seed"])
    sentences = []
    for run, own in trainings.groupby("run", sort=False):
        what_learned = "Training" if own["network_share"].isna().all() else "The network"
        from_start = own["best_epoch"] == 0
        kept = {
            "the start, so its scores are those of the model before its first step": from_start,
            "the linear path alone, so its scores are those of that path": ~from_start
            & (own["network_share"] == 0),
        }
        sentences += [
            f"{what_learned} brings nothing to {run}: in {is_so.sum()} of {len(own)} trainings validation "
            f"kept {what}."
            for what, is_so in kept.items()
            if is_so.any()
        ]
    return sentences


def learned_from(summary: pd.DataFrame) -> str:
    """Name the targets and the number of EEG pictures that each run learned from; oracles are left out.

    Parameters
    ----------
    summary : rows of one pair of brains, with ``learned_from``.
    """
    runs = summary.loc[[kind(run) != "oracle" for run in summary["run"]]].drop_duplicates("run")
    parts = [
        f"{learned} ({', '.join(own['run'])})" for learned, own in runs.groupby("learned_from", sort=False)
    ]
    return f"Targets and pictures learned from: {'; '.join(parts)}."
