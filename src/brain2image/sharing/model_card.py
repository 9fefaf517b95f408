"""The model card of a run: what it learned from, how well it does, and what it is not for."""

from collections.abc import Mapping, Sequence
from typing import Any

from brain2image.datasets.registry import load_datasets
from brain2image.report.headings import METRICS

SCORED = ("top1", "top5", "two_way")  # metrics of the table
HEADER = """\
---
library_name: brain2image
license: other
license_name: terms-of-the-data-it-learned-from
tags: [eeg, fmri, brain-decoding, {tags}]
---
"""
SIMULATED = """\
**Simulated data.** EEG, fMRI and pictures were made up by brain2image, in the formats of the data sets that
are named here. The scores say that the program works; they say nothing about brains."""
LICENCE = """\
The weights were learned from recordings of people. Whether they may be passed on, and to whom, is for the
terms of these data sets to say, which their users accepted:

{terms}

This card grants nothing. The code of brain2image is under the MIT licence."""
SIMULATED_LICENCE = """\
The data are made up, so nobody's terms hold for these weights. The code of brain2image, which made them, is
under the MIT licence."""
USE = """\
Research on what EEG and fMRI share: embeddings of EEG of pictures, to look for the picture that was seen
among known ones.

```python
import brain2image

model = brain2image.load_model("{place}")
embeddings = model.predict(eeg)  # (n_trials, {n_channels}, {n_times}) float32, {unit}, {sfreq:g} Hz
```"""
LIMITS = """\
- It was fitted to the people named above. EEG of others needs `brain2image calibrate` or a run of several.
- Its pictures were seen for a moment in a laboratory. Imagined pictures, dreams, other tasks were not tested.
- What it predicts is limited to what CLIP sees in pictures, by which EEG and fMRI were brought together.
- Not for diagnosis, and not for finding out about anybody who did not agree to it."""


def write_card(
    config: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, Any]],
    *,
    brains: str,
    run: str,
    n_times: int,
    place: str,
) -> str:
    """Write the model card as Markdown.

    Parameters
    ----------
    config : of the run, as it is shared.
    metrics : of the run and of the baselines beside it, by their names; empty where nothing was scored.
    brains : an EEG person and an fMRI person.
    run : the name of the run.
    n_times : samples of a trial.
    place : what `load_model` takes once it is shared: a folder, or ``hf://owner/name``.
    """
    eeg, is_simulated = config["eeg"], config.get("simulated", False)
    dataset = brains.partition("-")[0]
    first = [f"Trained on {brains} with brain2image.", *([SIMULATED] if is_simulated else [])]
    layout = {
        "n_channels": len(eeg["channels"]),
        "n_times": n_times,
        "unit": eeg["unit"],
        "sfreq": eeg["sfreq"],
    }
    sections = {
        f"# {run}: from EEG to fMRI embeddings": "\n\n".join(first),
        "## Data and people": _data(config, brains),
        "## Licence": SIMULATED_LICENCE if is_simulated else LICENCE.format(terms=_terms(config, brains)),
        "## Scores": _scores(metrics, run),
        "## Intended use": USE.format(place=place, **layout),
        "## Limits": "\n".join([LIMITS, *_found(metrics.get(run, {}))]),
    }
    text = "\n\n".join(f"{heading}\n\n{body}" for heading, body in sections.items())
    tags = f"{dataset}, simulated" if is_simulated else dataset
    return f"{HEADER.format(tags=tags)}\n{text}\n"


def _terms(config: Mapping[str, Any], brains: str) -> str:
    """List the terms of each data set that the run learned from."""
    known = load_datasets()
    person, _, subj = brains.partition("_")
    people = [person, *config.get("learned_from", {}).get("people", [])]
    names = [*dict.fromkeys(name.partition("-")[0] for name in people)]
    names += [name for name, dataset in known.items() if subj.partition("-")[0] in dataset.people]
    rows = [
        f"- {known[name].title}: {known[name].licence}."
        if name in known
        else f"- {name}: those of its owners."
        for name in names
    ]
    return "\n".join(rows)


def _data(config: Mapping[str, Any], brains: str) -> str:
    """List whose EEG and fMRI the run learned from, through which checkpoint, and what made it."""
    eeg, fmri, learned = config["eeg"], config.get("fmri", {}), config.get("learned_from", {})
    person, _, subj = brains.partition("_")
    people = ", ".join(learned.get("people", [person]))
    n_channels, checkpoint = len(eeg["channels"]), fmri.get("checkpoint", "an unknown checkpoint")
    kind = "simulated " if config.get("simulated") else ""
    rows = [
        f"{kind}EEG of {people} (release {eeg.get('release', 'unknown')}), {n_channels} channels at "
        f"{eeg['sfreq']:g} Hz, {eeg['unit']}",
        f"{kind}fMRI of {subj}, as embeddings of {config['n_features']} numbers through {checkpoint} "
        f"(SHA-256 {fmri.get('sha256', 'unknown')})",
        f"learned from: {learned.get('targets', 'unknown')} embeddings of "
        f"{learned.get('n_pictures', 'unknown')} pictures",
        "made with " + ", ".join(f"{name} {version}" for name, version in config["versions"].items()),
    ]
    return "\n".join(f"- {row}" for row in rows)


def _scores(metrics: Mapping[str, Mapping[str, Any]], run: str) -> str:
    """Tabulate the scores of the run and its baselines, with interval and chance."""
    if run not in metrics:
        return "No scores lie beside this run, so none are claimed."
    own = metrics[run]
    head = " | ".join(METRICS[metric].heading for metric in SCORED)
    rows = [
        f"| {name} | {' | '.join(_cell(scored, metric) for metric in SCORED)} |"
        for name, scored in metrics.items()
    ]
    return "\n".join(
        [
            f"{own['n_test']} test pictures of {own['n_concepts']} concepts, a query each; a cell is the "
            "score, its 95 % interval over concepts, and chance. The rows below the first are baselines.",
            "",
            f"| | {head} |",
            f"| --- |{' --- |' * len(SCORED)}",
            *rows,
        ]
    )


def _cell(metrics: Mapping[str, Any], metric: str) -> str:
    show = METRICS[metric].show
    row = next(
        (row for row in metrics["scores"] if row["metric"] == metric and _is_headline(row, metrics)), None
    )
    if row is None:
        return "-"
    return f"{show(row['value'])} ({show(row['low'])} to {show(row['high'])}), chance {show(row['chance'])}"


def _is_headline(row: Mapping[str, Any], metrics: Mapping[str, Any]) -> bool:
    """Tell whether a row is of single pictures, all trials, and the whole gallery, from EEG to fMRI."""
    is_whole = row["n_gallery"] == metrics["n_test"] and row["n_trials"] == "all"
    return row["level"] == "image" and row["direction"] != "backward" and is_whole


def _found(metrics: Mapping[str, Any]) -> Sequence[str]:
    """Say what the audit of the run found."""
    audit = metrics.get("audit", {})
    kinds = {"leaks": "Leak", "caveats": "Caveat", "unknown": "Unknown"}
    return [
        f"- {name} of its test, by the audit: {text}."
        for kind, name in kinds.items()
        for text in audit.get(kind, [])
    ]
