"""How the results were made: configuration, versions, time and memory."""

from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from brain2image.formats.tables import read_table
from brain2image.report.pages.html import bar, breakable, heading, note, page, table

PACKAGES = (
    "brain2image",
    "snakemake",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "h5py",
    "lmdb",
    "mne",
    "open_clip_torch",
    "torch",
    "lightning",
    "himalaya",
    "matplotlib",
)


def configuration_page(settings: Sequence[Sequence[str]], runs: Mapping[str, Mapping[str, str]]) -> str:
    """Show every key with its value, and what the runs made of the shared blocks.

    Parameters
    ----------
    settings : key, value and default of every key that all runs share.
    runs : of each run, the value of every key of its model, loss and training.
    """
    keys = dict.fromkeys(key for values in runs.values() for key in values)
    texts = {key: [values.get(key, "not used") for values in runs.values()] for key in keys}
    shared = {key: own[0] for key, own in texts.items() if len(set(own)) == 1}
    return page(
        "Configuration",
        "The configuration as it was resolved: the user's file over the defaults. Bold values differ from "
        "the default.",
        heading("Data and stages"),
        table(
            ("key", "value", "default"),
            [
                (breakable(key), _bold(value, value != default), breakable(default))
                for key, value, default in settings
            ],
        ),
        heading("What tells the runs apart"),
        table(
            ("run", "its own values"),
            [
                (run, Markup("<br>").join(f"{key}: {own[key]}" for key in own if key not in shared) or "none")
                for run, own in runs.items()
            ],
        ),
        heading("What all runs share" if len(runs) > 1 else "The run"),
        table(("key", "value"), [(breakable(key), breakable(value)) for key, value in shared.items()]),
    )


def _bold(text: str, is_bold: bool) -> Markup:
    return Markup("<b>{}</b>").format(breakable(text)) if is_bold else breakable(text)


def versions_page(
    trainings: Sequence[Mapping[str, Any]],
    fingerprints: Mapping[str, str],
    *,
    place: Mapping[str, str],
    checksums: Mapping[str, str],
) -> str:
    """Show where the results were made, by which packages and code, and of which raw files.

    Parameters
    ----------
    trainings : of each network, ``versions`` and ``device`` of its config.json.
    fingerprints : of each rule, that of the source that it runs.
    place : of `surroundings.describe_place`.
    checksums : SHA-256 of the raw files, by path.
    """
    versions = [training["versions"] for training in trainings]
    rows = [
        (name, installed(name), ", ".join(sorted({own[name] for own in versions if name in own})))
        for name in PACKAGES
    ]
    devices = ", ".join(sorted({training["device"] for training in trainings if training["device"]}))
    return page(
        "Versions",
        table(("what", ""), [*place.items(), *([("networks were trained on", devices)] if devices else [])]),
        heading("Packages"),
        table(("package", "when this page was written", "when the networks were trained"), rows),
        heading("Code"),
        table(("rule", "fingerprint of its source"), fingerprints.items()),
        note(
            "Two results with the same fingerprints, configuration and packages were computed by the same "
            "code. A fingerprint covers a rule's script and all modules that it imports, without comments."
        ),
        heading("Raw files"),
        table(
            ("file", "SHA-256"),
            [(breakable(path), breakable(checksum)) for path, checksum in checksums.items()],
        ),
        note(
            "As they were when a job last read them. Folders and files above 10 GB have no checksum here. "
            "No row: Snakemake noted none."
        ),
    )


def installed(name: str) -> str:
    """Return the version of a package in this environment."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not in this environment"


def read_benchmarks(folder: Path, *, rules: Collection[str], names: Collection[str]) -> pd.DataFrame:
    """Read the files that Snakemake's ``benchmark:`` leaves, a row a job, in the order of the rules.

    Parameters
    ----------
    folder : holds ``RULE.tsv`` or ``RULE/NAME.tsv``, the names of subjects, brains and runs.
    rules, names : what belongs to this workflow; files of removed rules, subjects and runs stay on disk.
    """
    files = {path: path.relative_to(folder).with_suffix("").parts for path in sorted(folder.rglob("*.tsv"))}
    columns = ["s", "cpu_time", "max_rss"]
    jobs = [
        read_table(path, columns, remedy="delete it")[columns].assign(rule=rule)
        for rule in rules
        for path, (owner, *own) in files.items()
        if owner == rule and set(own) <= set(names)
    ]
    return pd.concat(jobs, ignore_index=True) if jobs else pd.DataFrame(columns=[*columns, "rule"])


def resources_page(benchmarks: pd.DataFrame) -> str:
    """Show time and memory of each stage.

    Parameters
    ----------
    benchmarks : a row a job: rule, s (its duration), cpu_time (s), max_rss (MB; NaN of a job too short
        to see).
    """
    stages = benchmarks.groupby("rule", sort=False).agg(
        n_jobs=("s", "size"),
        total=("s", "sum"),
        longest=("s", "max"),
        cpu=("cpu_time", "sum"),
        memory=("max_rss", "max"),
    )
    slowest = stages["total"].max()
    rows = [
        (
            stage.Index,
            str(stage.n_jobs),
            duration(stage.total),
            bar(stage.total / slowest),
            duration(stage.longest),
            duration(stage.cpu),
            "too short to see" if pd.isna(stage.memory) else f"{stage.memory / 1000:.2f} GB",
        )
        for stage in stages.itertuples()
    ]
    return page(
        "Time and memory",
        f"{len(benchmarks)} jobs took {duration(stages['total'].sum())} together. Jobs that ran side by "
        "side count each, so that the run itself was shorter.",
        table(("stage", "jobs", "time", "", "longest job", "processor time", "peak memory of a job"), rows),
        note(
            "Of each job the last time that it ran: a training that went on where it was counts its last "
            "part alone. The stage that writes this page is missing."
        ),
    )


def duration(seconds: float) -> str:
    """Write seconds as ``4.2 s``, ``3 min 20 s`` or ``5 h 02 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
