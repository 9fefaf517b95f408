"""Every reader on its smallest whole release, cut or with bytes flipped: it reads it, or says InputError."""

import faulthandler
import os
import signal

import numpy as np
import pytest
from helpers.small_releases import READERS

from brain2image.core.errors import InputError
from brain2image.formats import unpickling

# FUZZ_MUTATIONS=200 searches deeper.
N_MUTATIONS = int(os.environ.get("FUZZ_MUTATIONS", "10"))
TIME_LIMIT = 60  # s for one file
SLOW = {"raw": 10, "alljoined": 5, "clip": 20, "mindeye2": 3}  # so many times fewer mutations
# LMDB trusts its pages: a flipped pointer ends the process, and nobody but this workflow writes the file.
# The HDF5 library can loop for ever over the heap of a damaged text attribute, which no release has, but the
# .h5 files of this workflow have.
ONLY_CUT = (".lmdb", ".h5")
ENDS = 1500  # bytes at both ends, where headers and directories stand


def mutated(content: bytes, rng: np.random.Generator, *, only_cut: bool) -> bytes:
    """The content cut short, or with one to ten of its bytes changed, one in three of them in its headers."""
    if only_cut or rng.random() < 0.3:
        return content[: rng.integers(len(content))]
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 3, 10])):
        reach = min(ENDS, len(changed))
        place = rng.choice([rng.integers(len(changed)), rng.integers(reach), -1 - rng.integers(reach)])
        changed[place] = rng.choice([rng.integers(256), changed[place] ^ (1 << rng.integers(8)), 0, 255])
    return bytes(changed)


@pytest.fixture(autouse=True)
def time_limit():
    def stop(*_):
        raise TimeoutError(f"a reader took more than {TIME_LIMIT} s")

    before = signal.signal(signal.SIGALRM, stop)
    yield
    signal.alarm(0)
    faulthandler.cancel_dump_traceback_later()
    signal.signal(signal.SIGALRM, before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, reader in READERS.items() for name in reader.files]
)
def test_damaged_files_are_read_or_refused(tmp_path, monkeypatch, kind, name):
    monkeypatch.setattr(unpickling, "LAZY_BYTES", 2**10)
    root, out = tmp_path / "release", tmp_path / "out" / "out"
    root.mkdir()
    READERS[kind].write(root)
    whole = (root / name).read_bytes()
    rng = np.random.default_rng(len(name))
    for _ in range(max(1, N_MUTATIONS // SLOW.get(kind, 1))):
        (root / name).write_bytes(mutated(whole, rng, only_cut=name.endswith(ONLY_CUT)))
        out.unlink(missing_ok=True)
        signal.alarm(TIME_LIMIT)
        faulthandler.dump_traceback_later(TIME_LIMIT + 5, exit=True)  # no signal ends a loop in a library
        try:
            READERS[kind].read(root, out)
        except InputError as error:
            assert str(root) in str(error)
            assert not out.parent.exists() or not list(out.parent.iterdir())
