"""Embeddings of a BIDS recording as a BIDS derivative: a file named after it, and what says how it was made.

https://bids-specification.readthedocs.io/en/stable/derivatives/introduction.html; BIDS has no suffix for
embeddings yet, and lets derivatives have their own.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import brain2image
from brain2image.core.errors import InputError
from brain2image.formats.files import read_json, sha256, write_json
from brain2image.translation.embeddings import write_translation
from brain2image.weights.hub_runs import PREFIX, fetch_run

ENTITIES = r"(?P<sub>sub-[A-Za-z0-9]+)(?:_(?P<ses>ses-[A-Za-z0-9]+))?(?:_[a-z]+-[A-Za-z0-9]+)*"
NAME = re.compile(rf"{ENTITIES}_eeg\.\w+")
DESCRIPTION = "dataset_description.json"
VERSION = "1.10.0"  # of BIDS


def write_derivative(folder: str | os.PathLike, eeg: str | os.PathLike, run: str, **options: Any) -> Path:
    """Write what `translate` returns of a BIDS recording into a folder of BIDS derivatives.

    Parameters
    ----------
    folder : of the derivatives, which is made; or one that this has written before, of the same raw data.
    eeg : the recording, ``sub-*[_ses-*]_*_eeg.*`` in a BIDS data set.
    run, options : those of `translate`.

    Returns
    -------
    The ``.h5`` of the embeddings; beside it lies its sidecar, with what they were made from and by.

    Raises
    ------
    InputError
        As `translate` does, when the name is none of BIDS, or when another data set or the embeddings of
        another run lie in the folder.
    """
    named, root = _parse(eeg)
    base, model = Path(folder), _model_file(run)
    link = os.path.relpath(root, base)
    _check_description(base, link)
    description = re.sub("[^A-Za-z0-9]", "", Path(run.partition("@")[0]).name)
    place = base.joinpath(*filter(None, (named["sub"], named["ses"])), "eeg")
    stem = f"{Path(eeg).name.rpartition('_eeg.')[0]}_desc-{description}_embeddings"
    out, sidecar = place / f"{stem}.h5", place / f"{stem}.json"
    digest = sha256(model)
    if sidecar.exists() and read_json(sidecar).get("ModelSHA256") != digest:
        raise InputError(
            f"{sidecar}: expected embeddings of this run, which may be written anew, got those of another "
            "one of its name; name another --derivatives"
        )
    write_translation(out, eeg, run, **options)
    write_json(base / DESCRIPTION, _description(link))
    source = Path(os.path.abspath(eeg)).relative_to(root).as_posix()
    facts = {
        "Description": "fMRI embeddings predicted from the EEG of each event, and the events (group trials)",
        "Sources": [f"bids:raw:{source}"],
        "Run": Path(run).name,
        "ModelSHA256": digest,
        "Checkpoint": read_json(model.with_name("config.json")).get("fmri", {}),
        "Options": _said(options),
    }
    write_json(sidecar, facts)
    return out


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, files without their folders."""
    files = {"gallery", "rename_table"}
    given = {name: value for name, value in options.items() if value}
    return {name: Path(value).name if name in files else value for name, value in given.items()}


def _parse(eeg: str | os.PathLike) -> tuple[dict[str, str | None], Path]:
    """Return the entities in the name of a recording, and the root of its data set."""
    path = Path(os.path.abspath(eeg))
    found = NAME.fullmatch(path.name)
    named = found.groupdict() if found else {}
    root = next((folder.parent for folder in path.parents if found and folder.name == named["sub"]), None)
    if root is None:
        raise InputError(
            f"{eeg}: expected a recording of a BIDS data set, sub-…/eeg/sub-…_eeg.…, for --derivatives, got "
            "another name or place; write to --out"
        )
    return named, root


def _model_file(run: str) -> Path:
    folder = fetch_run(run) if run.startswith(PREFIX) else Path(run)
    model = folder / "model.safetensors"
    if not model.is_file():
        raise InputError(
            f"{model}: expected the weights of a run, got no file; name the folder of a trained run"
        )
    return model


def _check_description(folder: Path, link: str) -> None:
    """Raise InputError where a folder holds something else than derivatives of the same raw data."""
    path = folder / DESCRIPTION
    if not path.exists() and folder.is_dir() and any(folder.iterdir()):
        raise InputError(
            f"{folder}: expected a new folder or one of derivatives, got files; name another one"
        )
    known = read_json(path) if path.exists() else _description(link)
    maker = ", ".join(str(one.get("Name")) for one in known.get("GeneratedBy", []))
    raw = known.get("DatasetLinks", {}).get("raw", "another data set")
    if (maker, raw) != ("brain2image", link):
        raise InputError(
            f"{path}: expected derivatives of {link} by brain2image, got those of {raw} by {maker}; name "
            "another --derivatives"
        )


def _description(link: str) -> dict[str, Any]:
    return {
        "Name": "fMRI embeddings predicted from EEG",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "brain2image", "Version": brain2image.__version__}],
        "DatasetLinks": {"raw": link},
    }
