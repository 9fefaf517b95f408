"""The sheet of retrieved pictures: the right ones, and in TensorBoard whenever the best weights change."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.planted import OUTPUTS, planted_lmdb, planted_run
from helpers.thumbnails import read_sheet, write_thumbnails
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brain2image.core.errors import InputError
from brain2image.models.alignment import AlignmentModel
from brain2image.training.board_pictures import BoardPictures
from brain2image.training.train import train
from brain2image.training_set.joined import FIRST_OF_SET
from brain2image.training_set.means import read_pairs

EEG = np.array([4, 9, 2, 7, 0, 5, 3])


@pytest.fixture
def thumbnails(tmp_path):
    return write_thumbnails(tmp_path / "things_subj01.thumbnails.parquet", range(12), range(12))


def pairs_of(eeg_images, fmri_images, person=0):
    return pd.DataFrame({"eeg_image": eeg_images, "fmri_image": fmri_images, "person": person})


def embeddings(similarity):
    """Predictions whose cosines with unit targets are ordered as in a table."""
    return torch.tensor(similarity, dtype=torch.float32), torch.eye(len(similarity))


def test_the_right_pictures_are_on_the_sheet(thumbnails, rng):
    similarity = rng.random((7, 7))
    fmri = (EEG + 1) % 11
    board = BoardPictures(pairs_of(EEG, fmri), people=["things-01"], thumbnails=[thumbnails])
    lines = read_sheet(board.draw(*embeddings(similarity)))
    ranks = [int((row >= row[number]).sum()) for number, row in enumerate(similarity)]
    cosines = [row[number] / np.linalg.norm(row) for number, row in enumerate(similarity)]
    order = sorted(range(7), key=lambda number: (ranks[number], -cosines[number]))
    assert len(lines) == 6
    for number, (pictures, framed) in zip([*order[:4], *order[5:]], lines, strict=True):
        nearest = np.argsort(-similarity[number])[:5]
        assert pictures[0] == (EEG[number], False, False)
        assert pictures[1:] == [(fmri[found], True, False) for found in [number, *nearest]]
        assert framed == [place for place, found in enumerate(nearest) if found == number]
    assert [framed for _, framed in lines].count([]) < 6


def test_where_the_seen_picture_is_the_answer_it_stands_there_once(thumbnails):
    board = BoardPictures(
        pairs_of(EEG, EEG), people=["things-01"], thumbnails=[thumbnails], answer="eeg_image"
    )
    lines = read_sheet(board.draw(*embeddings(np.eye(7))), n_given=1)
    assert all(not is_fmri for pictures, _ in lines for _, is_fmri, _ in pictures)
    assert [pictures[0] == pictures[1] and framed == [0] for pictures, framed in lines] == [True] * 6


def test_each_person_has_a_gallery_and_each_set_its_pictures(thumbnails, tmp_path):
    """The second saw another set, whose ids are moved up, and is worse."""
    other = write_thumbnails(tmp_path / "other.parquet", range(12), range(12), blue=200)
    moved = pairs_of(FIRST_OF_SET + EEG[:3], EEG[:3], person=1)
    pairs = pd.concat([moved, pairs_of(EEG[:4], EEG[:4])], ignore_index=True)
    similarity = np.zeros((7, 7))
    similarity[3:, 3:], similarity[:3, :3] = np.eye(4), 1 - np.eye(3)
    similarity[:3, 3:] = 5  # in another gallery
    board = BoardPictures(pairs, people=["things-01", "other-01"], thumbnails=[thumbnails, other])
    lines = read_sheet(board.draw(*embeddings(similarity)))
    assert [pictures[0][2] for pictures, _ in lines] == [False] * 4 + [True] * 2
    assert [framed for _, framed in lines] == [[0]] * 4 + [[2]] * 2
    for pictures, _ in lines:
        n_gallery = 3 if pictures[0][2] else 4
        shown = {image for image, _, _ in pictures[2 : 2 + n_gallery]}
        assert shown == set(EEG[:n_gallery])


def test_a_file_that_lacks_a_picture_is_an_error(tmp_path):
    path = write_thumbnails(tmp_path / "few.parquet", EEG[1:], EEG)
    with pytest.raises(InputError, match=r"few.parquet: expected each of 7 paired pictures .*run again"):
        BoardPictures(pairs_of(EEG, EEG), people=["things-01"], thumbnails=[path])


def test_a_sheet_is_in_tensorboard_for_each_best_epoch(tmp_path, monkeypatch):
    """The last one shows what the weights that are kept retrieve; without thumbnails no picture is read."""
    lmdb = planted_lmdb(tmp_path)
    _, _, pairs = read_pairs(lmdb, "val")
    path = write_thumbnails(tmp_path / "thumbnails.parquet", pairs["eeg_image"], pairs["fmri_image"])
    run = planted_run(training={"epochs": 3, "learning_rate": 2e-3})
    options = {"run": run, "weights": None, "code": "0", "state": tmp_path / "state"}
    outputs = {name: tmp_path / "run" / file for name, file in OUTPUTS.items()}
    train(lmdb, thumbnails=[path], **options, **outputs)
    history = pd.read_csv(outputs["history"])
    best = history["epoch"][history["val_loss"] < history["val_loss"].cummin().shift(fill_value=np.inf)]
    events = EventAccumulator(str(outputs["tensorboard"]), size_guidance={"images": 0}).Reload()
    sheets = events.Images("val/retrieved")
    assert len(best) > 1
    assert [sheet.step for sheet in sheets] == best.tolist()
    eeg, targets, pairs = read_pairs(lmdb, "val")
    model = AlignmentModel.load(tmp_path / "run")
    board = BoardPictures(pairs, people=["data"], thumbnails=[path])
    standardised = (model.standardise(part) for part in (model.predict(eeg), torch.from_numpy(targets)))
    expected = board.draw(*standardised)
    assert read_sheet(sheets[-1].encoded_image_string) == read_sheet(expected)
    assert (sheets[-1].width, sheets[-1].height) == expected.size

    monkeypatch.setattr(BoardPictures, "__init__", None)
    train(lmdb, **options | {"state": tmp_path / "other"}, **outputs)
    assert not EventAccumulator(str(outputs["tensorboard"])).Reload().Tags()["images"]
