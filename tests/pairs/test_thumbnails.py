"""The validation pictures, and no others, are made small; which are shown follows from an order alone."""

import io
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from brain2image.pairs.picture_examples import group_examples
from brain2image.pairs.thumbnails import READ_PICTURES, WIDTH, shrink_pictures


def test_the_validation_pictures_are_shrunk_once_each():
    read = []

    def read_images(images):
        assert len(images) <= READ_PICTURES
        read.extend(images.tolist())
        return [Image.new("RGB", (300, 200), (int(image), 0, 0)) for image in images]

    n_val = READ_PICTURES + 3
    pairs = pd.DataFrame(
        {
            "eeg_image": [*np.arange(n_val)[::-1], 200, 201],
            "fmri_image": [*np.arange(n_val) // 2 + 100, 202, 203],
            "split": [*["val"] * n_val, "train", "test"],
        }
    )
    table = shrink_pictures(pairs, [SimpleNamespace(read=read_images)] * 2)
    expected = [*range(n_val), *range(100, 100 + (n_val + 1) // 2)]
    assert table["image"].tolist() == read == expected
    assert table["side"].tolist() == ["eeg_image"] * n_val + ["fmri_image"] * (len(expected) - n_val)
    for image, jpeg in zip(table["image"], table["jpeg"], strict=True):
        picture = Image.open(io.BytesIO(jpeg))
        assert picture.size == (WIDTH, WIDTH)
        assert picture.getpixel((40, 40))[0] == pytest.approx(image, abs=3)


def test_the_first_the_middle_and_the_last_are_shown():
    order = np.array([7, 3, 9, 0, 5, 2, 8])
    expected = {7: "best", 3: "best", 9: "middle", 0: "middle", 2: "worst", 8: "worst"}
    assert list(group_examples(order, 2).items()) == list(expected.items())


@pytest.mark.parametrize("n_rows", range(5))
def test_of_few_each_is_shown_once(n_rows):
    order = np.arange(n_rows)[::-1]
    assert list(group_examples(order, 3)) == order.tolist()
