"""The first page: what was run, what came out, and whether to believe it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from brain2image.constants.brain_names import has_fmri
from brain2image.evaluation.run_audit import FINDINGS
from brain2image.evaluation.summary import headline, kind, over_seeds
from brain2image.report.pages.html import box, heading, note, page, table, verdict
from brain2image.report.pages.score_pages import pairing_notes
from brain2image.report.verdicts import (
    ALPHA,
    above_chance,
    against_baselines,
    best_network,
    best_of,
    networks,
    p_value,
    whose_eeg,
    without_network,
)

FIGURE = (
    "A: share of test pictures whose {target} the nearest of all to the one "
    "predicted from EEG, all trials of a picture averaged. Lines: 95 % interval, over concepts of "
    "one pair of brains, over people, seeds and concepts of several, which are dots. Oracles know "
    "the picture and are no competitors. Baselines learn from what the networks learn from and "
    "the pictures of the validation pairs; those that end in _paired from the measured pairs "
    "alone, those that end in _others or _all from such people. B: the network with the highest "
    "top-1, chosen on test, less each baseline: green better, red worse, grey not told apart. C: "
    "the same over the number of EEG trials in a query."
)
# What is looked for, by whether pairs are exact.
SOUGHT = {False: "a picture like the one", True: "the picture"}
NO_NETWORK = (
    "No network of this config learned to find fMRI: all of them learned from CLIP features "
    "(training.targets: clip), see the page Scores."
)


def overview_page(
    summary: pd.DataFrame,
    comparisons: pd.DataFrame,
    *,
    audits: Mapping[str, Sequence[Mapping[str, Any]]],
    bounds: Mapping[str, Mapping[str, Any]],
    is_simulated: bool,
    figure: str,
) -> str:
    """Write the page as HTML.

    Parameters
    ----------
    summary, comparisons : the tables of all pairs of brains.
    audits : of each pair of brains, the ``audit`` of the metrics of each run.
    bounds : of each pair of brains, what measure_bounds wrote.
    is_simulated : whether the data are synthetic.
    figure : of `summary_figure.plot_summary`, as SVG.
    """
    kinds = {brains: own[0]["split"]["is_exact"] for brains, own in audits.items()}
    is_scanned = all(map(has_fmri, audits))
    target = "measured fMRI embedding is" if is_scanned else "CLIP features are"
    return page(
        f"How well does EEG find {_sought(set(kinds.values()), is_scanned=is_scanned)} seen?",
        what_was_run(summary, is_simulated=is_simulated),
        box(*findings(summary, comparisons), *leak_sentences(audits)),
        Markup(figure[figure.index("<svg") :]),
        note(FIGURE.format(target=target)),
        heading("Pairs of brains"),
        table(
            (
                "brains",
                "pairs: train / val / test",
                "networks learned from",
                "passed over",
                "likeness (CLIP)",
                "reliability: EEG / fMRI",
                "leaks",
                "caveats",
            ),
            [_brains_row(brains, summary, audits[brains], bounds[brains]) for brains in audits],
        ),
        note(
            "Learned from: kind of the targets, and pictures of the EEG. Predicted targets are the picture "
            "encoder's, measured ones those of the training pairs; validation and test pairs are measured. "
            "Likeness: median CLIP cosine of the two pictures of a test pair, 1 where they are the same. "
            "Reliability: of the mean over all trials or repetitions, from halves of them, 0 to 1; "
            "unknown where a picture was measured once. Passed over: candidates in no split though a "
            "worse one is, mostly as their concept is tested. Leaks raise scores; caveats make test pairs "
            "differ from new ones."
        ),
        *map(note, dict.fromkeys(pairing_notes(one, is_exact=kinds[one]) for one in audits)),
    )


def _sought(kinds: Collection[bool], *, is_scanned: bool) -> str:
    """Name what EEG is to find, of pairs that are exact or not."""
    pictures = " or ".join(SOUGHT[is_exact] for is_exact in sorted(kinds))
    return f"the fMRI of {pictures}" if is_scanned else pictures


def what_was_run(summary: pd.DataFrame, *, is_simulated: bool) -> str:
    """Name networks, baselines, seeds and pairs of brains in a sentence or two."""
    runs = list(dict.fromkeys(summary["run"]))
    names = {name: [run for run in runs if kind(run) == name] for name in ("network", "baseline", "oracle")}
    n_seeds = summary.groupby("run")["seed"].nunique().max()
    all_brains = list(dict.fromkeys(summary["brains"]))
    baselines = f" ({', '.join(names['baseline'])})" if names["baseline"] else ""
    is_scanned = all(map(has_fmri, all_brains))
    partner = "the fMRI of another" if is_scanned else "the CLIP features of the pictures, without fMRI"
    data = "simulated data, which say nothing about real brains" if is_simulated else "measured data"
    return (
        f"{_count(len(names['network']), 'network')} ({', '.join(names['network'])}), "
        f"{_count(n_seeds, 'seed')} each, and {_count(len(names['baseline']), 'baseline')}"
        f"{baselines} were fitted on {_count(len(all_brains), 'pair')} of brains ({', '.join(all_brains)}): "
        f"the EEG of one person and {partner}. "
        f"These are {data}."
    )


def findings(summary: pd.DataFrame, comparisons: pd.DataFrame) -> list[str]:
    """Compare the best network with chance, baselines and ceiling, and name networks that do nothing."""
    network = best_network(summary)
    if network is None:
        return [NO_NETWORK, *without_network(summary)]
    rows = headline(summary)
    top1 = over_seeds(rows[rows["metric"] == "top1"], ["run", "brains"])
    own = top1.loc[network]
    n_above = int(above_chance(summary, network).sum())
    sentences = [
        _against_chance(_named(network, summary), own, n_above),
        *against_baselines(summary, comparisons),
        *without_network(summary),
    ]
    if own["share_of_ceiling"].notna().all():
        share = 100 * own["share_of_ceiling"].mean()
        sentences.append(
            f"{network} goes {share:.0f} % of the way from chance to the ceiling, which knows all "
            "that the seen picture carries."
        )
    return sentences


def _named(network: str, summary: pd.DataFrame) -> str:
    """Name a network, of how many it is the best and, where they differ in it, whose EEG it learned from."""
    named = f"{network}, {best_of(len(networks(summary)), 'network')},"
    learned = whose_eeg(summary[summary["run"].isin(networks(summary))])
    if learned.nunique() == 1:
        return named
    return f"{named} learned from {learned[summary['run'] == network].iloc[0]}. It"


def _against_chance(named: str, top1: pd.DataFrame, n_above: int) -> str:
    mean = 100 * top1.mean()
    if len(top1) == 1:
        n_test, n_concepts = (int(top1[name].iloc[0]) for name in ("n_test", "n_concepts"))
        return (
            f"{named} finds {mean['value']:.1f} % of {_count(n_test, 'test picture')} of "
            f"{_count(n_concepts, 'concept')} at the first attempt (95 % interval over concepts "
            f"{mean['low']:.1f} to {mean['high']:.1f} %); chance is {mean['chance']:.1f} %, "
            f"{p_value(top1['p'].iloc[0])}."
        )
    return (
        f"{named} finds {mean['value']:.1f} % of the test pictures at the first "
        f"attempt, the mean over {len(top1)} pairs of brains; chance is {mean['chance']:.1f} %. It is "
        f"above chance (p < {ALPHA}) in {n_above} of {len(top1)}."
    )


def leak_sentences(audits: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Say what the leak audit found on any pair of brains: leaks, caveats, and what it could not look at."""
    leaks, caveats, unknown = (
        "; ".join(sorted({name for runs in audits.values() for run in runs for name in run[finding]}))
        for finding in FINDINGS
    )
    return [
        f"The leak audit found: {leaks}. Read the page Leak audit before you trust the scores."
        if leaks
        else "The leak audit found no leak: nothing by which answers or test pictures reached the training.",
        *([f"To be kept in mind, on the page Leak audit: {caveats}."] if caveats else []),
        *([f"Unknown to the audit: {unknown}."] if unknown else []),
    ]


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _brains_row(
    brains: str, summary: pd.DataFrame, runs: Sequence[Mapping[str, Any]], bounds: Mapping[str, Any]
) -> list[str]:
    own = summary[(summary["brains"] == brains) & summary["run"].isin(networks(summary))]
    n_leaks, n_caveats = (len({name for run in runs for name in run[kind]}) for kind in FINDINGS[:2])
    split = runs[0]["split"]
    reliability = [
        f"{bounds[part]['reliability']:.2f}" if bounds[part] else "unknown" for part in ("eeg", "fmri")
    ]
    return [
        brains,
        " / ".join(str(n) for n in split["n_pairs"].values()),
        "; ".join(own["learned_from"].unique()),
        str(split["n_passed_over"]),
        f"{bounds['pairing']['similarity_q50']:.2f}",
        " / ".join(reliability),
        verdict(str(n_leaks), is_good=n_leaks == 0),
        str(n_caveats),
    ]
