"""How many pictures a core reads, decodes, resizes and crops for CLIP in a second, and what threads bring.

    python benchmarks/pictures.py [--pictures 400] [--threads 1 2 4]

The files have the releases' forms: JPEGs of 500 x 500 pixels (THINGS) and rows of MindEye2's float16 pixel
file (NSD). Pictures a processor second say what a core does, whatever else the machine is busy with; pictures
a second say what the threads reached together. Prints a Markdown table.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import open_clip
import pandas as pd
from PIL import Image

from brain2image.datasets.nsd import nsd_images as nsd
from brain2image.datasets.nsd.nsd_images import PIXELS, PIXELS_SHAPE
from brain2image.datasets.things_eeg2 import things_images as things
from brain2image.pairs.clip import shaped_batches

BATCH = 64


class Rate(NamedTuple):
    """Pictures that became rows of a batch."""

    per_processor_second: float
    per_second: float


def things_pictures(folder: Path, n_images: int) -> Sequence[Image.Image]:
    """JPEGs of about 70 kB, in the place of THINGS."""
    rng = np.random.default_rng(0)
    for number in range(n_images):
        coarse = Image.fromarray(rng.integers(0, 256, (50, 50, 3), np.uint8))
        grain = rng.normal(0, 6, (500, 500, 3))
        pixels = np.clip(np.asarray(coarse.resize((500, 500), Image.Resampling.BICUBIC)) + grain, 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.jpg", quality=85)
    return things.read_images(pd.DataFrame({"path": [f"{n}.jpg" for n in range(n_images)]}), folder)


def nsd_pictures(folder: Path, n_images: int) -> Sequence[Image.Image]:
    """Rows of a file of the shape of MindEye2's, of which the first ones are written."""
    rng = np.random.default_rng(0)
    with h5py.File(folder / PIXELS, "w") as file:
        pixels = file.create_dataset("images", PIXELS_SHAPE, np.float16, chunks=(1, *PIXELS_SHAPE[1:]))
        for number in range(n_images):
            pixels[number] = rng.random(PIXELS_SHAPE[1:], np.float32)
    return nsd.read_images(pd.DataFrame({"image": range(n_images), "row": range(n_images)}), folder)


def rate(images: Sequence[Image.Image], *, size: int = 224, n_threads: int) -> Rate:
    """Read and prepare all pictures for a model of this input size."""
    *shaping, _, _ = open_clip.image_transform(size, is_train=False).transforms
    wall, processor = time.perf_counter(), time.process_time()
    batches = shaped_batches(images, shaping, batch_size=BATCH, n_threads=n_threads, pinned=False)
    n_images = sum(len(batch) for batch in batches)
    return Rate(n_images / (time.process_time() - processor), n_images / (time.perf_counter() - wall))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores\n")
    print("| pictures | threads | a processor second | a second |\n| --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for make in (things_pictures, nsd_pictures):
            images = make(Path(folder), options.pictures)
            for n_threads in options.threads:
                found = rate(images, n_threads=n_threads)
                print(f"| {make.__name__} | {n_threads} | {found[0]:.0f} | {found[1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
