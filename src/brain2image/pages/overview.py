"""The first page: what was run, what came out, and whether to believe it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from brain2image.comparisons import ALL_PAIRS
from brain2image.evaluation import headline
from brain2image.pages.html import Markup, box, heading, note, page, table, verdict
from brain2image.summary import best, kind, over_seeds

ALPHA = 0.05


def overview_page(
    summary: pd.DataFrame,
    comparisons: pd.DataFrame,
    *,
    audits: Mapping[str, Sequence[Mapping[str, Any]]],
    ceilings: Mapping[str, Mapping[str, Any]],
    is_simulated: bool,
    figure: str,
) -> str:
    """The page as HTML.

    Parameters
    ----------
    summary, comparisons : the tables of all pairs of brains.
    audits : of each pair of brains, the ``audit`` of the metrics of each run.
    ceilings : of each pair of brains, what measure_ceilings wrote.
    is_simulated : whether the data are synthetic.
    figure : the headline figure, as SVG.
    """
    return page(
        "How well does EEG find the fMRI of a picture like the one seen?",
        what_was_run(summary, is_simulated=is_simulated),
        box(*findings(summary, comparisons), leak_sentence(audits)),
        Markup(figure[figure.index("<svg") :]),
        note(
            "Share of test pictures whose measured fMRI embedding is the nearest of all to the one predicted "
            "from EEG, all trials of a picture averaged. Lines: 95 % interval over pictures. Broad bands, of "
            "several seeds: ± SD. Oracles know the picture and are no competitors."
        ),
        heading("Pairs of brains"),
        table(
            ("pair", "pictures: train / val / test", "likeness (CLIP)", "reliability: EEG", "fMRI", "leaks"),
            [_pair_row(pair, audits[pair], ceilings[pair]) for pair in audits],
        ),
        note(
            "Likeness: median CLIP cosine of the two pictures of a test pair, which are never the same. "
            "Reliability: of the mean over all trials or repetitions, from halves of them, 0 to 1; "
            "unknown where a picture was measured once."
        ),
    )


def what_was_run(summary: pd.DataFrame, *, is_simulated: bool) -> str:
    """Networks, baselines, seeds and pairs of brains in a sentence or two."""
    runs = list(dict.fromkeys(summary["run"]))
    names = {name: [run for run in runs if kind(run) == name] for name in ("network", "baseline", "oracle")}
    n_seeds = summary.groupby("run")["seed"].nunique().max()
    pairs = list(dict.fromkeys(summary["pair"]))
    data = "simulated data, which say nothing about real brains" if is_simulated else "measured data"
    return (
        f"{_count(len(names['network']), 'network')} ({', '.join(names['network'])}), "
        f"{_count(n_seeds, 'seed')} each, and {_count(len(names['baseline']), 'baseline')} "
        f"({', '.join(names['baseline'])}) were fitted on {_count(len(pairs), 'pair')} of brains "
        f"({', '.join(pairs)}): the EEG of a THINGS-EEG2 subject and the fMRI of an NSD subject. "
        f"These are {data}."
    )


def findings(summary: pd.DataFrame, comparisons: pd.DataFrame) -> list[str]:
    """The best network against chance, the best baseline and the ceiling, a sentence each."""
    chosen = best(summary)
    rows = headline(summary)
    top1 = over_seeds(rows[rows["metric"] == "top1"], ["run", "pair"])
    own = top1.loc[chosen["network"]]
    sentences = [_against_chance(chosen["network"], own), _against_baseline(chosen, comparisons)]
    if own["share_of_ceiling"].notna().all():
        share = 100 * own["share_of_ceiling"].mean()
        sentences.append(
            f"That is {share:.0f} % of the way from chance to the ceiling, which knows the picture."
        )
    return sentences


def _against_chance(network: str, top1: pd.DataFrame) -> str:
    mean = 100 * top1.mean()
    if len(top1) == 1:
        return (
            f"{network}, the best network, finds {mean['value']:.1f} % of {top1['n_test'].iloc[0]} test "
            f"pictures at the first attempt (95 % interval {mean['low']:.1f} to {mean['high']:.1f} %); "
            f"chance is {mean['chance']:.1f} %, {p_value(top1['p'].iloc[0])}."
        )
    n_above = ((top1["value"] > top1["chance"]) & (top1["p"] < ALPHA)).sum()
    return (
        f"{network}, the best network, finds {mean['value']:.1f} % of the test pictures at the first "
        f"attempt, the mean over {len(top1)} pairs of brains; chance is {mean['chance']:.1f} %. It is "
        f"above chance (p < {ALPHA}) in {n_above} of {len(top1)}."
    )


def _against_baseline(chosen: Mapping[str, str], comparisons: pd.DataFrame) -> str:
    rows = comparisons[
        (comparisons["run"] == chosen["network"])
        & (comparisons["baseline"] == chosen["baseline"])
        & (comparisons["metric"] == "top1")
    ].set_index("pair")
    row = rows.loc[ALL_PAIRS if ALL_PAIRS in rows.index else rows.index[0]]
    relation = "cannot be told apart from"
    if row["p_holm"] < ALPHA:
        relation = "is above" if row["difference"] > 0 else "is below"
    return (
        f"It {relation} the best baseline, {chosen['baseline']}: {100 * row['difference']:+.1f} percentage "
        f"points ({100 * row['low']:+.1f} to {100 * row['high']:+.1f}; {p_value(row['p_holm'])} after Holm's "
        "correction)."
    )


def leak_sentence(audits: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """What the leak audit found on any pair of brains."""
    leaks = sorted({leak for runs in audits.values() for run in runs for leak in run["leaks"]})
    if not leaks:
        return "The leak audit found nothing that can make these scores too good."
    return f"The leak audit found: {'; '.join(leaks)}. Read the page Leak audit before you trust the scores."


def p_value(p: float) -> str:
    """``p = 0.012``, or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _pair_row(pair: str, runs: Sequence[Mapping[str, Any]], ceilings: Mapping[str, Any]) -> list[str]:
    n_leaks = len({leak for run in runs for leak in run["leaks"]})
    reliability = [
        f"{ceilings[part]['reliability']:.2f}" if ceilings[part] else "unknown" for part in ("eeg", "fmri")
    ]
    return [
        pair,
        " / ".join(str(n) for n in runs[0]["split"]["n_pairs"].values()),
        f"{ceilings['pairing']['similarity_q50']:.2f}",
        *reliability,
        verdict(str(n_leaks), is_good=n_leaks == 0),
    ]
