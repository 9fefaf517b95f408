"""Files of the results: JSON, tables, checksums."""

import h5py
import pandas as pd
import pytest

from brain2image.formats.files import sha256, write_json, write_parquet
from brain2image.formats.hdf5 import read_trials, write_trials


def test_json_refuses_what_is_not_a_number(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"value": float("nan")})
    assert not list(tmp_path.iterdir())


def test_tables_survive(tmp_path):
    table = pd.DataFrame({"image": [3, 1], "repetition": [0, 1]})
    write_parquet(tmp_path / "table.parquet", table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "table.parquet"), table)
    with h5py.File(tmp_path / "table.h5", "w") as file:
        write_trials(file, table, {"unit": "uV"})
    with h5py.File(tmp_path / "table.h5") as file:
        pd.testing.assert_frame_equal(read_trials(file), table)
        assert file.attrs["unit"] == "uV"


def test_sha256_of_known_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # the test vector of FIPS 180-4
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
