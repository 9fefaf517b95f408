"""A trained run as a folder that can be given away: model card, config and weights, no path of this disk."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError
from brain2image.formats.files import read_json, write_json
from brain2image.sharing.model_card import write_card
from brain2image.weights.sources import source_name

CHECKPOINTED = ("fmri", "predicted")  # blocks of config.json that name MindEye2's checkpoint


def export_run(run: str | os.PathLike, out: str | os.PathLike, *, place: str | None = None) -> None:
    """Write a trained run as a folder of its own, which `load_model` takes.

    Parameters
    ----------
    run : folder of the trained run.
    out : folder to write.
    place : where it will be shared, for the model card: ``hf://owner/name``; the folder by default.

    Raises
    ------
    InputError
        When the run is none whose weights were kept, or something lies at ``out``.
    """
    if os.path.lexists(out):
        raise InputError(f"{out}: expected a new folder, got something that is there; name another --out")
    with atomic_path(out) as scratch:
        scratch.mkdir()
        write_shared(run, scratch, place=place)


def write_shared(run: str | os.PathLike, folder: Path, *, place: str | None = None) -> None:
    """Write what `export_run` does into a folder that is there."""
    from safetensors.numpy import load_file, save

    from brain2image.translation.loading import load_model

    run = Path(os.path.abspath(run))
    model = load_model(run)  # refuses what cannot be shared
    config = without_paths(read_json(run / "config.json"))
    brains, name = run.parent.name, run.name
    card = write_card(
        config,
        _metrics(run),
        brains=brains,
        run=name,
        n_times=model.mean_response.shape[1],
        place=place or f"{brains}_{name}",
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    write_json(folder / "config.json", config)
    fmri = config.get("fmri", {})
    facts = {
        "format": "pt",
        "brains": brains,
        "run": name,
        "brain2image": config["versions"]["brain2image"],
        "checkpoint": str(fmri.get("checkpoint", "")),
        "sha256": str(fmri.get("sha256", "")),
    }
    # not `save_file`, which lets nobody else read what it writes
    content = save(load_file(run / "model.safetensors"), metadata=facts)
    (folder / "model.safetensors").write_bytes(content)


def without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the paths of checkpoints, which older runs hold, by their names; addresses and SHA-256 stay."""
    shared = dict(config)
    for block in CHECKPOINTED:
        if isinstance(named := config.get(block), dict) and "checkpoint" in named:
            shared[block] = named | {"checkpoint": source_name(named["checkpoint"])}
    return shared


def _metrics(run: Path) -> dict[str, Any]:
    """Read the scores of a run and of the baselines beside it, the run's first."""
    found = {}
    for folder in [run, *sorted(run.parent.iterdir())]:
        if folder.name not in found and (folder / "metrics.json").is_file():
            config = folder / "config.json"
            if folder == run or (config.is_file() and "baseline" in read_json(config)):
                found[folder.name] = read_json(folder / "metrics.json")
    return found if run.name in found else {}
