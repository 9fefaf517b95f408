"""The LMDB as it is read: shared, replaced while it is read, and its damage reported."""

import pickle

import h5py
import lmdb
import numpy as np
import pytest
from helpers.small_lmdb import write_from, write_sources

from brain2image.core.errors import InputError
from brain2image.training_set import lmdb_store
from brain2image.training_set.lmdb_store import LMDBReader


@pytest.fixture
def sources(tmp_path):
    """EEG, fMRI and pairs."""
    return write_sources(tmp_path)


def test_readers_share_a_file_and_see_a_new_one(sources):
    out = write_from(sources)
    readers = [LMDBReader(out) for _ in range(3)]
    link = out.with_suffix(".link")
    link.symlink_to(out)
    np.testing.assert_array_equal(readers[0].eeg(5), LMDBReader(link).eeg(5))
    write_from(sources, sources[3][:10])
    assert len(LMDBReader(out).pairs) == 10


def test_a_rebuild_changes_nothing_for_who_reads(sources):
    out = write_from(sources)
    reader = LMDBReader(out)
    before = reader.read("eeg", range(5))
    with h5py.File(sources[0] / "eeg.h5", "r+") as file:
        file["eeg"][:] = 1
    write_from(sources)
    np.testing.assert_array_equal(reader.read("eeg", range(5)), before)
    assert (LMDBReader(out).read("eeg", range(5)) == 1).all()


def test_another_process_notices_that_the_file_was_replaced(sources):
    """One that is spawned opens the file by its path; it must not mix old trial numbers with new trials."""
    out = write_from(sources)
    reader = pickle.loads(pickle.dumps(LMDBReader(out)))
    write_from(sources)
    lmdb_store._environments.clear()
    with pytest.raises(InputError, match="expected the file that was opened, but another one"):
        reader.eeg(0)


def test_damaged_files(sources):
    folder = sources[0]
    content = write_from(sources).read_bytes()
    damaged = {"cut short": content[: len(content) // 2], "not an LMDB file": b"x" * 9000}
    for reason, start in damaged.items():
        path = folder / f"{len(start)}.lmdb"
        path.write_bytes(start)
        with pytest.raises(InputError, match=reason):
            LMDBReader(path)
    with pytest.raises(InputError, match="no such LMDB file"):
        LMDBReader(folder / "none.lmdb")
    path = folder / "empty.lmdb"
    lmdb.open(str(path), subdir=False, lock=False).close()
    with pytest.raises(InputError, match="the key meta, it is missing"):
        LMDBReader(path)


def test_missing_trial(sources):
    reader = LMDBReader(write_from(sources))
    with pytest.raises(InputError, match="the key eeg/00000999, it is missing"):
        reader.eeg(999)


def test_an_empty_split_is_named(sources):
    reader = LMDBReader(write_from(sources))
    message = "expected pairs of split 'dev', got none; this file has test, train, val"
    with pytest.raises(InputError, match=message):
        reader.pairs_of("dev")
