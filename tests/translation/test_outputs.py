"""Embeddings written block by block, in both formats."""

import json

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from brain2image.core.errors import InputError
from brain2image.translation.outputs import check_suffix, write_blocks

TRIALS = pd.DataFrame({"image": [4, 4, 9, 7], "onset": [0.5, 1.5, 2.5, 3.5]})
EMBEDDING = np.arange(12, dtype=np.float32).reshape(4, 3)


def blocks():
    yield from ({"embedding": EMBEDDING[rows]} for rows in (slice(3), slice(3, 4)))


def test_both_formats_hold_all_blocks_in_order(tmp_path):
    for name in ("out.h5", "out.parquet"):
        write_blocks(tmp_path / name, TRIALS, blocks(), {"run": "flatten"})
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_array_equal(file["embedding"][:], EMBEDDING)
        assert file.attrs["run"] == "flatten"
    table = pd.read_parquet(tmp_path / "out.parquet")
    np.testing.assert_array_equal(np.stack(table["embedding"]), EMBEDDING)
    pd.testing.assert_frame_equal(table[list(TRIALS)], TRIALS)
    assert json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"brain2image"]) == {"run": "flatten"}


def test_a_failure_leaves_no_file(tmp_path):
    def broken():
        yield {"embedding": EMBEDDING[:1]}
        raise InputError("cut short")

    for name in ("out.h5", "out.parquet"):
        with pytest.raises(InputError, match="cut short"):
            write_blocks(tmp_path / name, TRIALS, broken(), {})
    assert not list(tmp_path.iterdir())


def test_another_ending_is_refused():
    check_suffix("out.h5")
    with pytest.raises(InputError, match=r"out\.csv: expected a file name that ends in"):
        check_suffix("out.csv")
