"""Pictures of translated EEG: those found by the nearest measured fMRI, and drawn ones."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from brain2image.constants.brain_names import divide_brains
from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError
from brain2image.datasets.picture_sets import PictureSet
from brain2image.datasets.registry import load_datasets
from brain2image.decoding.drawn_files import MEAN, read_drawn
from brain2image.decoding.linear_decoder import draw_embeddings
from brain2image.formats.files import read_json
from brain2image.formats.tables import read_table
from brain2image.plan_files import FMRI
from brain2image.report.pages.html import note, page, table
from brain2image.translation.outputs import read_written

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.getLogger(__name__)

MAX_TRIALS = 200  # whose pictures are written
SIDE = 96  # pixels of a picture on the page
LINEAR = ".linear.h5"  # the end of the name of a decoder


class Found(NamedTuple):
    """What pictures of a run's translations are made of.

    gallery : measured embeddings of the fMRI's pictures.
    pictures : these pictures.
    decoder, backbone : by which pictures are drawn; None where nothing is.
    """

    gallery: Path
    pictures: PictureSet
    decoder: Path | None
    backbone: Path | None


def find_files(
    run: str | os.PathLike,
    *,
    gallery: str | os.PathLike | None,
    decoder: str | os.PathLike | None,
    release: str | os.PathLike,
) -> Found:
    """Find what pictures are made of, by the place of a run among its results where nothing else is said.

    Parameters
    ----------
    run : folder of a trained run.
    gallery : ``results/projection/SUBJ.h5``.
    decoder : ``results/decoding/BRAINS.linear.h5``; beside it lies the backbone.
    release : folder of the fMRI's data set, the config's ``data.nsd``.

    Raises
    ------
    InputError
        When something is missing.
    """
    brains, results = Path(run).absolute().parent.name, Path(run).absolute().parents[2]
    place = Path(gallery or results / "projection" / f"{brains.rpartition('_')[2]}.h5")
    _check_there(place, "measured embeddings", "--gallery results/projection/SUBJ.h5")
    images = place.absolute().parents[1] / "pictures" / f"{FMRI}.parquet"
    _check_there(images, "the table of the fMRI's pictures", "a gallery that lies among its results")
    owner = load_datasets(())[FMRI]
    root = owner.root({name: str(release) for name in owner.folders})
    pictures = PictureSet(
        owner.picture_title, read_table(images, ["image"]), str(images), owner.picture_reader, root
    )
    drawn = Path(decoder or results / "decoding" / f"{brains}{LINEAR}")
    if not decoder and not drawn.exists():
        logger.warning("%s is not there: pictures are found, none drawn (decoding.pictures: linear)", drawn)
        return Found(place, pictures, None, None)
    _check_there(drawn, "a linear decoder", f"--decoder results/decoding/BRAINS{LINEAR}")
    subj = divide_brains(drawn.name.removesuffix(LINEAR))[1]
    backbone = drawn.with_name(f"{subj}_backbone.safetensors")
    _check_there(backbone, "the backbone", "a decoder that lies among its results")
    return Found(place, pictures, drawn, backbone)


def _check_there(path: Path, what: str, remedy: str) -> None:
    if not path.is_file():
        raise InputError(f"{path}: expected {what}, but there is no such file; give {remedy}")


def check_folder(folder: str | os.PathLike) -> None:
    """Raise InputError unless a folder of pictures may be made: it is not there yet, or empty."""
    path = Path(folder)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path}: expected a new or an empty folder for pictures; name another one")


def write_pictures(
    folder: str | os.PathLike, translation: str | os.PathLike, found: Found, *, run: str | os.PathLike
) -> int:
    """Write the pictures of translated EEG as PNG files, and a page of them, ``index.html``.

    Parameters
    ----------
    folder : ``0001_found_1.png`` and so on, the nearest first, and ``0001_drawn.png``; numbers of trials.
    translation : what `translation.embeddings.write_translation` wrote with this gallery.
    found : see `find_files`.
    run : by which it was translated.

    Returns
    -------
    Of how many trials: of more than 200 the first ones.
    """
    check_folder(folder)
    trials, arrays = read_written(translation, n_trials=MAX_TRIALS)
    wanted = np.unique(arrays["fmri_image"])
    pictures = dict(zip(wanted.tolist(), found.pictures.read(wanted), strict=True))
    drawn, mean = _draw(arrays["embedding"], found, run)
    with atomic_path(folder) as path:
        path.mkdir()
        rows = []
        for number, (event, nearest) in enumerate(zip(trials["event"], arrays["fmri_image"], strict=True), 1):
            images = {f"found_{rank}": pictures[image] for rank, image in enumerate(nearest.tolist(), 1)}
            images |= {"drawn": drawn[number - 1]} if drawn else {}
            row = [_save(path, f"{number:04d}_{name}", image) for name, image in images.items()]
            rows.append([event.decode() if isinstance(event, bytes) else event, *row])
        shown = _save(path, "mean", mean) if mean else None
        text = _page(rows, trials, arrays["similarity"].shape[1], found, shown)
        (path / "index.html").write_text(text, encoding="utf-8")
    return len(trials)


def _draw(
    embedding: np.ndarray, found: Found, run: str | os.PathLike
) -> tuple[list["Image"], "Image | None"]:
    """Draw pictures of embeddings, and that of the mean; none where there is no decoder."""
    from PIL import Image

    if found.decoder is None or found.backbone is None:
        return [], None
    source: Mapping[str, Any] = read_json(Path(run) / "config.json", ["fmri"])["fmri"]
    pixels = draw_embeddings(embedding, found.decoder, backbone=found.backbone, source=source)
    mean = Image.fromarray(read_drawn(found.decoder, MEAN)[0, 0])
    return [Image.fromarray(picture) for picture in pixels], mean


def _save(folder: Path, name: str, image: "Image") -> Markup:
    image.save(folder / f"{name}.png")
    return Markup('<img src="{}.png" width="{}" height="{}" alt="">').format(name, SIDE, SIDE)


def _page(
    rows: Sequence[Sequence[Any]], trials: pd.DataFrame, n_found: int, found: Found, mean: Markup | None
) -> str:
    """Write the page: what was found for each trial, and what was drawn."""
    columns = ["event", *(f"found {rank}" for rank in range(1, n_found + 1)), *(["drawn"] if mean else [])]
    parts: list[str] = [table(columns, rows)]
    text = (
        f"Found are the {found.pictures.title} pictures whose measured fMRI is nearest to what is predicted "
        "from the EEG. How often the right one is among them, the report's scores say; here nobody knows "
        "what was seen. "
    )
    if len(trials) == MAX_TRIALS:
        text += f"Of more trials the first {MAX_TRIALS} are shown; --average shows one row an event. "
    if mean:
        text += "Drawn are pictures by a ridge from tokens; of an EEG that says nothing it draws this mean: "
    return page("Pictures from EEG", *parts, note(Markup("{}{}").format(text, mean or "")))
