"""The pictures that somebody new saw, by the events of their EEG, and the embeddings that they stand for."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brain2image.config.data import CLIPConfig, PreprocessConfig
from brain2image.config.messages import validate
from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular
from brain2image.formats.pictures import Pictures, decode
from brain2image.pairs.clip import clip_identity, embed_images, pretrained_sources
from brain2image.pairs.clip_embeddings import PROJECTED, Embeddings
from brain2image.pairs.preparation import find_checkpoint
from brain2image.projection.picture_encoder import FACTS, PictureEncoder, read_picture_encoder
from brain2image.weights.download import fetch
from brain2image.weights.sources import check_file

logger = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png")
READERS = {
    ".csv": lambda path: pd.read_csv(path, dtype=str, encoding="utf-8-sig"),
    ".tsv": lambda path: pd.read_csv(path, dtype=str, encoding="utf-8-sig", sep="\t"),
    ".parquet": pd.read_parquet,
}
N_NAMED = 5  # events or pictures that a message names
BATCH_SIZE, N_THREADS = 64, 4  # of CLIP; the default of the config's clip.batch_size
ENCODER = "picture encoder (results/projection/DATASET_SUBJ.encoder.safetensors)"


def list_shown(pictures: str | os.PathLike, events: Sequence[str], *, is_choice: bool) -> pd.DataFrame:
    """List the picture of each event, and what it belongs together with.

    Parameters
    ----------
    pictures : a folder, in which each picture is called as its event; or a table with the columns ``event``,
        ``picture`` (a path, from the table on) and, where some belong together, ``concept``.
    events : names of the events of the EEG, each once.
    is_choice : whether the user chose them, so that there may be pictures of others.

    Returns
    -------
    A row an event, in their order: event, picture (path) and concept.

    Raises
    ------
    InputError
        When an event has no picture, or a picture no event.
    """
    path = Path(pictures)
    table = _list_folder(path) if path.is_dir() else _read_table(path)
    twice = table.loc[table["event"].duplicated(), "event"]
    if len(twice):
        raise InputError(f"{path}: expected one picture an event, got several of {_named(twice)}; name one")
    missing = [event for event in events if event not in set(table["event"])]
    if missing:
        raise InputError(
            f"{path}: expected a picture (JPEG or PNG) of each of {len(events)} events, got none of "
            f"{_named(missing)}; add them, or choose the events that have one (--events)"
        )
    left = table.loc[~table["event"].isin(events), "event"]
    if len(left) and not is_choice:
        raise InputError(
            f"{path}: expected pictures that have trials, got {len(left)} of {len(table)} without: "
            f"{_named(left)}; take them out, or choose the events (--events)"
        )
    return table.set_index("event").loc[list(events)].reset_index()


def _named(names: Sequence[str] | pd.Series) -> str:
    listed = ", ".join(map(repr, list(names)[:N_NAMED]))
    return f"{listed} and {len(names) - N_NAMED} more" if len(names) > N_NAMED else listed


def _list_folder(folder: Path) -> pd.DataFrame:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    names = [str(file) for file in files if not file.name.startswith(".")]
    stems = [Path(name).stem for name in names]
    return pd.DataFrame({"event": stems, "picture": names, "concept": names}, dtype=object)


def _read_table(path: Path) -> pd.DataFrame:
    """Read a table of events and pictures; a picture without a concept is one by itself."""
    remedy = (
        f"give a folder of pictures, or a table ({', '.join(READERS)}) with the columns event and picture"
    )
    check_regular(path, remedy=remedy)
    if path.suffix.lower() not in READERS:
        raise InputError(f"{path}: expected a folder or a table, got a file {path.suffix!r}; {remedy}")
    try:
        table = READERS[path.suffix.lower()](path)
    except Exception as error:  # pandas and pyarrow raise many types, by where the damage is
        raise InputError(f"{path}: cannot read this table ({reason(error)}); {remedy}") from None
    if not {"event", "picture"} <= set(table) or table.empty:
        found = f"{len(table)} rows of {', '.join(map(str, table)) or 'nothing'}"
        raise InputError(f"{path}: expected rows of event and picture, got {found}; {remedy}")
    columns = [name for name in ("event", "picture", "concept") if name in table]
    if incomplete := int(table[columns].isna().any(axis=1).sum()):
        what = ", ".join(columns)
        raise InputError(f"{path}: expected {what} in every row, got {incomplete} without; fill them in")
    table = table[columns].astype(str)
    table["picture"] = [str((path.parent / name).resolve()) for name in table["picture"]]
    return table if "concept" in table else table.assign(concept=table["picture"])


def find_encoder(
    run: str | os.PathLike, record: Mapping[str, Any], given: str | os.PathLike | None
) -> PictureEncoder:
    """Read the picture encoder whose embeddings are of the run's space.

    Parameters
    ----------
    run, record : folder and ``config.json`` of the run.
    given : the file; None to look for it where the workflow that trained the run puts it.

    Raises
    ------
    InputError
        When it belongs to another MindEye2 checkpoint, or none or several are found.
    """
    sha256 = (record.get("fmri") or {}).get("sha256")
    if given is not None:
        encoder = read_picture_encoder(given)
        if encoder.facts["sha256"] != sha256:
            raise InputError(
                f"{given}: expected a picture encoder of the MindEye2 checkpoint of the run (sha256 "
                f"{str(sha256)[:8]}), got one of {encoder.facts['checkpoint']} (sha256 "
                f"{str(encoder.facts['sha256'])[:8]}): their embeddings are unrelated; give that of the run"
            )
        return encoder
    folder = Path(os.path.normpath(Path(run).resolve() / "../../../projection"))
    learned = record.get("predicted") or {}
    wanted = {name: learned[name] for name in FACTS if name in learned} | {"sha256": sha256}
    encoders = {file: read_picture_encoder(file) for file in sorted(folder.glob("*.encoder.safetensors"))}
    found = {
        file: encoder
        for file, encoder in encoders.items()
        if all(str(encoder.facts[name]) == str(value) for name, value in wanted.items())
    }
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or f"none among {len(encoders)}"
        raise InputError(f"{folder}: expected the one {ENCODER} of the run, got {names}; name it (--encoder)")
    ((file, encoder),) = found.items()
    logger.info("targets are what %s predicts for the pictures", file)
    return encoder


def find_clip(encoder: PictureEncoder, given: str | os.PathLike | None) -> tuple[Path, str | None]:
    """Find the weights of CLIP with which a picture encoder was fitted.

    Parameters
    ----------
    encoder : says which they are.
    given : a file, the folder of a download or an open_clip tag; None for the encoder's own tag.

    Returns
    -------
    The file, and the tag where they have one.

    Raises
    ------
    InputError
        When they are others, or nothing says where they are.
    """
    import open_clip

    model, _, own = encoder.clip.rpartition(", ")
    tags = open_clip.list_pretrained_tags_by_model(model)
    if given is None and own not in tags:
        raise InputError(
            f"calibrate: expected the weights of {model} with which the picture encoder was fitted (sha256 "
            f"{own}), got none; name their file (--clip)"
        )
    named = own if given is None else str(given)
    tag = named if named in tags else None
    weights = None if tag else _find_file(Path(named))
    if (identity := clip_identity(model, weights or "", tag=tag)) != encoder.clip:
        raise InputError(
            f"{named}: expected the weights of CLIP with which the picture encoder was fitted "
            f"({encoder.clip}), got {identity}; give these (--clip)"
        )
    return weights or fetch(*pretrained_sources(model, named)).path, tag


def _find_file(path: Path) -> Path:
    try:
        weights = find_checkpoint(path)
    except ValueError:  # of a folder that holds none or several
        raise InputError(f"{path}: expected one file of weights in this folder; name the file") from None
    check_file(weights)
    return weights


def embed_shown(
    shown: pd.DataFrame,
    encoder: PictureEncoder,
    *,
    clip: str | os.PathLike | None,
    preprocess: str | Mapping[str, Any],
) -> np.ndarray:
    """Predict the embedding of each picture, (n_pictures, n_features) float32.

    Parameters
    ----------
    shown : the pictures, as `list_shown` lists them.
    encoder : from CLIP's features to embeddings.
    clip, preprocess : weights, see `find_clip`, and how pictures are prepared for them, see `embed_images`.
    """
    if not isinstance(preprocess, str):
        preparation = validate(PreprocessConfig, preprocess, root=CLIPConfig, prefix="clip.preprocess.")
        preprocess = preparation.model_dump()
    weights, tag = find_clip(encoder, clip)
    remedy = "replace the picture"
    layer = encoder.layer
    layers = embed_images(
        Pictures(shown, lambda row: decode(row.picture, source=row.picture, remedy=remedy)),
        model=encoder.clip.rpartition(", ")[0],
        weights=weights,
        tag=tag,
        preprocess=preprocess,
        batch_size=BATCH_SIZE,
        n_threads=N_THREADS,
        layers=[PROJECTED] if layer == PROJECTED else [PROJECTED, int(layer.removeprefix("layer_"))],
    )
    projected = layers.pop(PROJECTED)
    rows = np.arange(len(shown))
    return encoder.predict(Embeddings(rows, projected, "the pictures", encoder.clip, layers))
