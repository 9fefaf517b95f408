"""What lies in the folders of the config, and what each file turns out to be: headers are read, no more."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from brain2image.core.errors import InputError
from brain2image.core.modules import load_module
from brain2image.core.wrapping import wrap_paths
from brain2image.datasets.base import Dataset
from brain2image.datasets.registry import load_datasets
from brain2image.weights.sources import COMPARING, check_file, is_remote

OF_DECODING = {"token_clip": "CLIP weights for tokens", "unclip": "MindEye2 unCLIP"}
# What is downloaded of published weights, for who waits for it.
SIZES = {
    "ridge": "200 to 300 MB of it",
    "backbone": "7.6 GB of it; 1.8 GB where it has 1,024 features",
    "prior": "1.0 GB of it",
    "token_clip": "ViT-bigG-14: 10.2 GB",
    "unclip": "10.2 GB of it",
    f"{COMPARING}alexnet": "0.24 GB",
    f"{COMPARING}inception_v3": "0.11 GB",
    f"{COMPARING}efficientnet_b1": "0.03 GB",
    f"{COMPARING}swav": "0.11 GB",
}
FRAME, MIN_ROOM = 12, 30  # columns of the table's lines, spaces and first column; of what was found, at least


class Finding(NamedTuple):
    """One line of the inventory: what was looked for, whether it can be used, and what was found instead."""

    what: str
    is_usable: bool
    found: str


def take_inventory(
    data: Mapping[str, str],
    weights: Mapping[str, str],
    *,
    encoders: Sequence[Mapping[str, Any]] = (),
    describe_published: Callable[..., str],
    datasets: Sequence[str] = (),
    people: Mapping[str, Sequence[str]],
    subjects: Sequence[str],
    left_out: Mapping[str, str],
    fetched: Mapping[str, str],
    parts: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[Finding]:
    """Look at everything that a config needs.

    Parameters
    ----------
    data : folders by their key in the config.
    weights : the sources ``clip`` and ``mindeye2``, those of decoding that are needed, and those of encoders
        by their names.
    encoders : that start from published weights: the ``encoder``, the ``model`` block of a run, the
        ``channels`` that it hears, empty where its data set does not name them, and ``runs`` that start so.
    describe_published : `published_check.describe_published`.
    datasets : files of data sets that the config lists.
    people : those whose data are read, by the name of their data set.
    subjects : the people whose fMRI is read, each with a MindEye2 ridge.
    left_out : people whom ``brains: all`` leaves out, and why.
    fetched : where the workflow puts what it downloads, for the weights that it downloads.
    parts : checkpoint and place of what is needed beside the ridges, such as ``backbone of subj01``.
    """
    known = load_datasets(tuple(datasets))
    checks: dict[str, Callable[[], str]] = {}
    for name in people:
        checks |= _data_checks(known[name], data, people[name])
    checks["CLIP weights"] = partial(_weights, weights["clip"], fetched.get("clip"))
    for key, title in OF_DECODING.items():
        if key in weights:
            checks[title] = partial(_weights, weights[key], fetched.get(key), size=SIZES[key])
    for key in (key for key in weights if key.startswith(COMPARING)):
        checks[f"weights of {key.removeprefix(COMPARING)}"] = partial(
            _weights, weights[key], fetched.get(key), size=SIZES[key]
        )
    for start in encoders:
        name = start["encoder"]
        describe = partial(describe_published, model=start["model"], channels=start["channels"])
        checks[f"{name} weights ({', '.join(start['runs'])})"] = partial(
            _encoder_weights, weights[name], fetched.get(name), describe if start["channels"] else None
        )
    for subject in subjects:
        source, place = (
            text.format(subj=subject) for text in (weights["mindeye2"], fetched.get("mindeye2", ""))
        )
        checks[f"MindEye2 ridge of {subject}"] = partial(_weights, source, place, size=SIZES["ridge"])
    for part, (source, place) in parts.items():
        kept = place if is_remote(source) else None
        checks[f"MindEye2 {part}"] = partial(_weights, source, kept, size=SIZES[part.partition(" ")[0]])
    missing = [Finding(f"{person}, left out", False, reason) for person, reason in left_out.items()]
    return [*(_finding(what, check) for what, check in checks.items()), *missing]


def print_inventory(**needs: Any) -> None:
    """Print what `take_inventory` finds, as a table.

    Raises
    ------
    InputError
        When something is missing or wrong.
    """
    findings = take_inventory(**needs)
    table = Table("", "what", show_lines=True)
    table.add_column("found", overflow="fold")
    console = Console(markup=False)  # paths may hold square brackets
    room = max(console.width - max(len(finding.what) for finding in findings) - FRAME, MIN_ROOM)
    for finding in findings:
        mark = "ok" if finding.is_usable else Text("--", "red")
        table.add_row(mark, finding.what, wrap_paths(finding.found, room))
    console.print(table)
    if n_missing := sum(not finding.is_usable for finding in findings):
        raise InputError(f"{n_missing} of {len(findings)} are missing or wrong; see docs/data.md")


def _data_checks(
    dataset: Dataset, data: Mapping[str, str], people: Sequence[str]
) -> dict[str, Callable[[], str]]:
    inspector: Any = load_module(dataset.inspector) if dataset.inspector else None
    checks: dict[str, Callable[[], str]] = {}
    if hasattr(inspector, "describe_pictures"):
        checks[f"{dataset.picture_title} pictures"] = partial(inspector.describe_pictures, data)
    for person in people:
        checks[f"{dataset.title} {dataset.label(person)}"] = partial(
            _person, dataset, data, person, inspector
        )
    return checks


def _person(dataset: Dataset, data: Mapping[str, str], person: str, inspector: Any) -> str:
    source = dataset.find_release(data, person, must_exist=True)
    found = inspector.describe_person(data, person) if inspector else source.release
    return f"{found} ({_size(source.files)})"


def _finding(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, check())
    except InputError as error:
        return Finding(what, False, str(error))


def _weights(source: str, fetched: str | None, size: str = "") -> str:
    if not fetched:
        check_file(source)
        return f"{source} ({_size([source])})"
    if Path(fetched).exists():
        return f"fetched from {source}"
    kind = source if is_remote(source) else f"open_clip's {source}"
    return f"to be fetched from {kind}{size and f' ({size})'}: snakemake fetch_weights"


def _encoder_weights(source: str, fetched: str | None, describe: Callable[[str], str] | None) -> str:
    """Describe published weights; where the file is there, by what the encoder makes of it."""
    found, file = _weights(source, fetched), fetched or source
    return f"{found}: {describe(file)}" if describe and Path(file).exists() else found


def _size(paths: Sequence[str]) -> str:
    files = [file for path in map(Path, paths) for file in (path.rglob("*") if path.is_dir() else [path])]
    return f"{sum(file.stat().st_size for file in files if file.is_file()) / 1e9:.2f} GB"
