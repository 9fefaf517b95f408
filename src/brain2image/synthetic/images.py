"""Write the two picture sets: THINGS as folders of JPEGs, NSD as MindEye2's pixel file and its tables."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from einops import rearrange
from PIL import Image

from brain2image.core.atomic import atomic_path
from brain2image.formats.hdf5 import atomic_hdf5
from brain2image.synthetic.concepts import concept_names, image_metadata
from brain2image.synthetic.drawings import Painter
from brain2image.synthetic.latents import (
    N_NSD_IMAGES,
    NSDDesign,
    draw_latents,
    generator,
    nsd_design,
)

THINGS_SIZES = (256, 280, 300)  # pixels; the real ones differ in size as well
NSD_SIZE = 224


def simulate_images(
    simulate: Mapping[str, Any],
    subjects: list[str],
    *,
    training_images: str | Path,
    test_images: str | Path,
    metadata: str | Path,
    pixels: str | Path,
    indices: str | Path,
    shared1000: str | Path,
    latents: str | Path,
) -> None:
    """Draw the latents of both picture sets, paint them, and write them in the releases' formats.

    Parameters
    ----------
    simulate : the fields of `config.SimulateConfig`.
    subjects : NSD subjects, ``subj01`` and so on.
    training_images, test_images : folders ``00001_concept/concept_01b.jpg``.
    metadata : THINGS-EEG2's ``image_metadata.npy``.
    pixels : HDF5, ``images`` (73000, 3, 224, 224) float16 from 0 to 1; only the pictures shown take up space.
    indices : HDF5, for each subject (n_trials,) int64, the 0-based NSD id of each trial.
    shared1000 : (73000,) bool.
    latents : what was planted: ``things`` (n_things_images, n_latents) in the order of sorted training, then
        sorted test files; ``nsd`` (n_nsd_images, n_latents) and ``nsd_images``, their ids.
    """
    seed = simulate["seed"]
    training, test = concept_names(simulate["n_concepts"], simulate["n_test_concepts"], seed=seed)
    per_concept = simulate["images_per_concept"]
    names = image_metadata(training, test, per_concept, seed=seed)
    design = nsd_design(subjects, simulate["n_nsd_sessions"], share=simulate["nsd_shared"], seed=seed)
    things, nsd = draw_latents(simulate, len(design.images), seed=seed)
    shown = dict(zip(("training", "test"), np.split(things, [len(training) * per_concept]), strict=True))

    painter = Painter(simulate["n_latents"], seed=seed)
    folders = {"training": (training_images, "train_img"), "test": (test_images, "test_img")}
    for partition, (folder, prefix) in folders.items():
        paths = map("/".join, zip(names[f"{prefix}_concepts"], names[f"{prefix}_files"], strict=True))
        _write_jpegs(folder, paths, shown[partition], painter, rng=generator(seed, "paint", partition))
    _write_pixels(pixels, design.images, nsd, painter, rng=generator(seed, "paint", "nsd"))
    _write_design(design, indices, shared1000)
    with atomic_path(metadata) as scratch:
        np.save(scratch, np.array(names), allow_pickle=True)
    with atomic_path(latents) as scratch:
        np.savez(scratch, things=things, nsd=nsd, nsd_images=design.images)


def _write_jpegs(
    folder: str | Path,
    paths: Iterable[str],
    latents: np.ndarray,
    painter: Painter,
    *,
    rng: np.random.Generator,
) -> None:
    with atomic_path(folder) as scratch:
        for path, shown in zip(paths, latents, strict=True):
            picture = painter.paint(shown, size=int(rng.choice(THINGS_SIZES)), rng=rng)
            target = scratch / path
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.round(255 * picture).astype(np.uint8)).save(target, quality=92)


def _write_pixels(
    path: str | Path, images: np.ndarray, latents: np.ndarray, painter: Painter, *, rng: np.random.Generator
) -> None:
    shape = (3, NSD_SIZE, NSD_SIZE)
    with atomic_hdf5(path) as file:
        # A chunk a picture, so that pictures nobody sees are never allocated.
        dataset = file.create_dataset("images", (N_NSD_IMAGES, *shape), np.float16, chunks=(1, *shape))
        for image, shown in zip(images, latents, strict=True):
            picture = painter.paint(shown, size=NSD_SIZE, rng=rng)
            dataset[image] = rearrange(picture, "height width colours -> colours height width")


def _write_design(design: NSDDesign, indices: str | Path, shared1000: str | Path) -> None:
    with atomic_hdf5(indices) as file:
        for subject, images in design.trials.items():
            file[subject] = images
    flags = np.zeros(N_NSD_IMAGES, dtype=bool)
    flags[design.images[design.shared]] = True
    with atomic_path(shared1000) as scratch:
        np.save(scratch, flags)
