"""Thumbnails of one colour each, by which a picture on a sheet is known again."""

import io

import numpy as np
import pandas as pd
from PIL import Image

from brain2image.training.board_pictures import CELL, GAP, LEFT, TOP

STEP = 12  # between the reds of two pictures; JPEG is off by less


def write_thumbnails(path, eeg_images, fmri_images, *, blue=0):
    """A file of thumbnails: red is the id (of 20 the same as of 0), green the side, blue the file's."""
    rows = []
    for side, images, green in (("eeg_image", eeg_images, 0), ("fmri_image", fmri_images, 160)):
        for image in images:
            file = io.BytesIO()
            Image.new("RGB", (80, 80), (STEP * (int(image) % 20), green, blue)).save(file, "JPEG", quality=95)
            rows.append({"side": side, "image": image, "jpeg": file.getvalue()})
    pd.DataFrame(rows).to_parquet(path, index=False)
    return path


def read_sheet(sheet, n_given=2):
    """What a sheet or its JPEG shows: for each line the pictures' colours, and which columns have a frame."""
    sheet = Image.open(io.BytesIO(sheet)) if isinstance(sheet, bytes) else sheet
    sheet = np.asarray(sheet.convert("RGB")).astype(int)
    lines = []
    for top in range(TOP, len(sheet), CELL):
        pictures, framed = [], []
        for column in range(n_given + 5):
            left = LEFT + column * CELL + (GAP if column >= n_given else 0)
            red, green, blue = sheet[top + CELL // 2, left + CELL // 2]
            pictures.append((round(red / STEP), bool(green > 80), bool(blue > 80)))
            if np.abs(sheet[top + CELL // 2, left + 1] - (0, 158, 115)).max() < 40:
                framed.append(column - n_given)
        lines.append((pictures, framed))
    return lines
