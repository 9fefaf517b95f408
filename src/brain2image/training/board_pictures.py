"""What validation retrieves, in pictures: a sheet for TensorBoard."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from brain2image.formats.pictures import decode
from brain2image.formats.tables import REMEDY, find_rows, read_table
from brain2image.pairs.picture_examples import group_examples
from brain2image.training_set.joined import FIRST_OF_SET

N_QUERIES, N_RETRIEVED = 2, 5  # of each group; of each query
RIGHT = (0, 158, 115)  # of the frame around the right picture: the report's green
# Pixels: a picture's cell and the frame in it, the room left of and above all cells, and the gap between what
# is given and what is retrieved.
CELL, FRAME, LEFT, TOP, GAP = 88, 4, 104, 36, 16


class BoardPictures:
    """The pictures of the validation pairs, of which each sheet shows a few.

    Parameters
    ----------
    pairs : the validation pairs in the order of their predictions: eeg_image, fmri_image, person.
    people : names of those whose EEG it is.
    thumbnails : files of `thumbnails.shrink_pictures`, one for each of the people.
    answer : column of ``pairs`` that names what is retrieved: ``eeg_image`` where the targets are of the seen
        pictures themselves.

    Raises
    ------
    InputError
        When a file cannot be read, or lacks a picture.
    """

    def __init__(
        self,
        pairs: pd.DataFrame,
        *,
        people: Sequence[str],
        thumbnails: Sequence[str | Path],
        answer: str = "fmri_image",
    ):
        self.people, self.person = people, pairs["person"].to_numpy()
        self.galleries = {number: np.flatnonzero(self.person == number) for number in np.unique(self.person)}
        self.sides = list(dict.fromkeys(("eeg_image", answer)))
        self._jpegs: dict[str, list[tuple[bytes, str]]] = {
            side: [(b"", "")] * len(pairs) for side in self.sides
        }
        tables = {file: read_table(file, ["side", "image", "jpeg"]) for file in dict.fromkeys(thumbnails)}
        for number, rows in self.galleries.items():
            file = thumbnails[number]
            for side in self.sides:
                own = tables[file][tables[file]["side"] == side]
                images = pairs[side].to_numpy()[rows]
                images = images % FIRST_OF_SET if len(people) > 1 else images
                found = own["jpeg"].to_numpy()[find_rows(own["image"], images, source=file)]
                for row, jpeg in zip(rows, found, strict=True):
                    self._jpegs[side][row] = jpeg, str(file)

    def draw(self, predictions: Tensor, targets: Tensor) -> Image.Image:
        """Draw the best, the middle and the worst queries with what is nearest by cosine.

        Each person's pictures are a gallery of their own. Queries are ordered by the rank of their answer,
        ties counted against it, and those of equal rank by its cosine.

        Parameters
        ----------
        predictions, targets : (n_pairs, n_features) float32, standardised, in the order of ``pairs``.
        """
        ranks, cosines, nearest = self._search(predictions, targets)
        shown = group_examples(np.lexsort((-cosines, ranks)), N_QUERIES)
        n_cells = len(self.sides) + N_RETRIEVED
        sheet = Image.new("RGB", (LEFT + n_cells * CELL + GAP, TOP + len(shown) * CELL), "white")
        pen = ImageDraw.Draw(sheet)
        titles = ["seen", "its partner"][: len(self.sides)]
        titles += [f"retrieved\n{place + 1}" for place in range(N_RETRIEVED)]
        for column, title in enumerate(titles):
            _write(pen, (self._left(column), 2), title)
        for line, (row, group) in enumerate(shown.items()):
            top, gallery = TOP + line * CELL, self.galleries[self.person[row]]
            who = [self.people[self.person[row]]] if len(self.people) > 1 else []
            text = "\n".join([group, f"rank {ranks[row]}", f"of {len(gallery)}", *who])
            _write(pen, (FRAME, top + FRAME), text)
            for column, side in enumerate(self.sides):
                self._put(sheet, (self._left(column), top), side, row)
            for place, number in enumerate(nearest[row][: len(gallery)]):
                corner, found = (self._left(len(self.sides) + place), top), gallery[number]
                if found == row:
                    pen.rectangle((*corner, corner[0] + CELL - 1, top + CELL - 1), fill=RIGHT)
                self._put(sheet, corner, self.sides[-1], found)
        return sheet

    def _search(self, predictions: Tensor, targets: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rank and cosine of each answer, (n_pairs,), and the places of the nearest in its gallery."""
        rows = np.concatenate(list(self.galleries.values()))
        found = []
        for own in map(torch.from_numpy, self.galleries.values()):
            places = own.to(predictions.device)
            cosines = F.normalize(predictions[places], dim=1) @ F.normalize(targets[places], dim=1).T
            answer = cosines.diagonal().unsqueeze(1)
            rank = (cosines >= answer).sum(dim=1, keepdim=True)
            nearest = cosines.argsort(dim=1, descending=True, stable=True)[:, :N_RETRIEVED]
            nearest = F.pad(nearest, (0, N_RETRIEVED - nearest.shape[1]))
            found.append(torch.cat([rank.float(), answer.float(), nearest.float()], dim=1))
        numbers = torch.cat(found).cpu().numpy()[np.argsort(rows)]  # read back from the device at once
        return numbers[:, 0].astype(int), numbers[:, 1], numbers[:, 2:].astype(int)

    def _left(self, column: int) -> int:
        return LEFT + column * CELL + (GAP if column >= len(self.sides) else 0)

    def _put(self, sheet: Image.Image, corner: tuple[int, int], side: str, row: int) -> None:
        jpeg, source = self._jpegs[side][row]
        width = CELL - 2 * FRAME
        picture = decode(io.BytesIO(jpeg), source=source, remedy=REMEDY).resize((width, width))
        sheet.paste(picture, (corner[0] + FRAME, corner[1] + FRAME))


def _write(pen: ImageDraw.ImageDraw, corner: tuple[int, int], text: str) -> None:
    pen.multiline_text(corner, text, "black", font=ImageFont.load_default(size=12), spacing=2)
