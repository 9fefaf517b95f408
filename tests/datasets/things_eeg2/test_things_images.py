"""THINGS pictures: the table, and the pictures that it names."""

import numpy as np
import pandas as pd
import pytest
from helpers.empty_releases import THINGS
from helpers.scripts import run_script
from PIL import Image

from brain2image.core.errors import InputError
from brain2image.datasets.things_eeg2.things_images import read_images, repack_images

FOLDERS = {
    "training_images": ["00001_aardvark", "00002_bat1", "00003_hot-air_balloon", "00004_t-shirt"],
    "test_images": ["00001_aircraft_carrier", "00002_antelope"],
}


@pytest.fixture
def image_set(tmp_path):
    """Two pictures for each training concept and one for each test concept, with the metadata lists."""
    lists = {}
    for folder, prefix, n_files in (("training_images", "train_img", 2), ("test_images", "test_img", 1)):
        concepts, files = [], []
        for number, concept in enumerate(FOLDERS[folder]):
            for i in range(n_files):
                concepts.append(concept)
                files.append(f"{concept.split('_', 1)[1]}_{i + 1:02d}b.jpg")
                path = tmp_path / folder / concept / files[-1]
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 6), (40 * number, 100 * i, 200)).save(path)
        lists |= {
            f"{prefix}_concepts": concepts,
            f"{prefix}_files": files,
            f"{prefix}_concepts_THINGS": concepts,
        }
    np.save(tmp_path / "image_metadata.npy", lists)
    return tmp_path


def repack_image_set(root):
    folders = (root / "training_images", root / "test_images", root / "image_metadata.npy")
    repack_images(*folders, out=root / "images.parquet")
    return pd.read_parquet(root / "images.parquet")


def test_image_table(image_set):
    table = repack_image_set(image_set)
    assert list(table.columns) == ["image", "path", "concept", "partition", "part"]
    assert table["image"].dtype == np.int64
    assert table["image"].tolist() == list(range(10))
    assert table["partition"].tolist() == ["train"] * 8 + ["test"] * 2
    assert table["path"][0] == "training_images/00001_aardvark/aardvark_01b.jpg"
    assert table["path"][9] == "test_images/00002_antelope/antelope_01b.jpg"
    assert table["concept"].tolist() == [
        *("aardvark", "aardvark", "bat1", "bat1", "hot-air_balloon", "hot-air_balloon", "t-shirt", "t-shirt"),
        *("aircraft_carrier", "antelope"),
    ]


def test_a_cut_picture_is_found_before_hours_of_clip(image_set):
    picture = next((image_set / "test_images").glob("*/*.jpg"))
    whole = picture.read_bytes()
    picture.write_bytes(whole + b"\0")  # bytes after the end are no damage
    repack_image_set(image_set)
    (image_set / "images.parquet").unlink()
    picture.write_bytes(whole[:-20])
    with pytest.raises(InputError, match=rf"{picture.name}: cannot read this picture .*unpack"):
        repack_image_set(image_set)
    assert not (image_set / "images.parquet").exists()


def test_hidden_twins_of_macos_archives_are_no_pictures(image_set):
    expected = repack_image_set(image_set)
    (image_set / "training_images" / "00002_bat1" / "._bat1_01b.jpg").write_bytes(b"")
    pd.testing.assert_frame_equal(repack_image_set(image_set), expected)


def test_read_images_follow_the_table(image_set):
    table = repack_image_set(image_set).iloc[[7, 0, 9]]
    Image.new("L", (5, 5), 77).save(image_set / table["path"].iloc[2])
    pictures = list(read_images(table, image_set))
    assert [picture.mode for picture in pictures] == ["RGB"] * 3
    assert [picture.size for picture in pictures] == [(8, 6), (8, 6), (5, 5)]
    for picture, colour in zip(pictures, [(120, 100, 200), (0, 0, 200), (77, 77, 77)], strict=True):
        np.testing.assert_allclose(np.asarray(picture)[2, 2], colour, atol=4)  # JPEG is lossy


def test_the_script(image_set):
    folders = {name: str(image_set / name) for name in ("training_images", "test_images")}
    run_script(
        "repack_images",
        image_set,
        input=[*folders.values(), str(image_set / "image_metadata.npy")],
        output={"images": str(image_set / "out" / "images.parquet")},
        params={"reader": THINGS.picture_reader},
    )
    assert len(pd.read_parquet(image_set / "out" / "images.parquet")) == 10
