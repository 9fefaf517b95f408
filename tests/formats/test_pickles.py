"""Pickles that are made to crash, hang or fill the memory: every reader refuses them in a line, and soon."""

import io
import pickle
import resource
import zipfile

import numpy as np
import pytest
import torch

from brain2image.core.errors import InputError
from brain2image.formats import pickles
from brain2image.formats.checkpoints import Checkpoint, check_torch_file
from brain2image.formats.unpickling import load_arrays

N_NESTED = 50_000  # tuples; a hash of so many ends Python


def text(value):
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def nested(n=N_NESTED):
    return b")" + b"\x85" * n


def doubled(n=60):
    """A tuple that holds the one before twice: few bytes, 2^n objects when it is printed."""
    return b")" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(n))


def global_(module, name):
    return f"c{module}\n{name}\n".encode()


DTYPE = global_("numpy", "dtype")
EMPTY_ARRAY = global_("numpy.core.multiarray", "_reconstruct") + b")R"
ENCODE = global_("_codecs", "encode")
# 60 kB of text, encoded again and again
AGAIN = b"(" + text("x" * 60_000) + b"q\x000" + (ENCODE + b"h\x00" + text("latin1") + b"\x86R") * 2000 + b"l"
ANY = {
    "a key of nested tuples": b"}" + nested() + b"Ns",
    "keys of nested tuples": b"}(" + nested() + b"Nu",
    "a dict of nested tuples": b"(" + nested() + b"N" + pickle.DICT,
    "a key that doubles": b"}" + doubled() + b"Ns",
    "a set": b"\x8f(" + nested() + b"\x90",
    "a frozen set": b"(" + nested() + b"\x91",
    "nested tuples": nested(),
    "nested lists": b"]" * 1000 + b"a" * 999,
    "tuples that double": doubled(),
    "a list in itself": b"]q\x00h\x00a",
    "a torch tensor of nested tuples": nested() + b"Q",
    "a torch tensor that doubles": doubled() + b"Q",
    "a name of nested tuples": nested() + text("x") + b"\x93",
    "an ordered dict of nested tuples": global_("collections", "OrderedDict")
    + b"]("
    + nested()
    + b"N\x86e\x85R",
    "a dtype of nested tuples": DTYPE + nested() + b"\x85R",
    "a dtype that doubles": DTYPE + doubled() + b"\x85R",
    "a huge integer": b"\x8b\xff\xff\x00\x00" + b"\x7f" * 65535,
}
ARRAYS = {
    "a shape of text": EMPTY_ARRAY
    + b"(K\x01(J\xff\xff\xff\x7f"
    + text("aaaaaaaa")
    + b"t"
    + DTYPE
    + text("f8")
    + b"\x85R\x89C\x00tb",
    "an encoding of its own": ENCODE + text("x" * 1000) + text("punycode") + b"\x86R",
    "a text encoded often": AGAIN,
    "a scalar without bytes": global_("numpy.core.multiarray", "scalar")
    + DTYPE
    + text("V2000000000")
    + b"\x85R\x85R",
}


def refusal(read):
    with pytest.raises(InputError) as error:
        read()
    message = str(error.value)
    assert len(message) < 4100
    return message


@pytest.mark.parametrize("name", ANY | ARRAYS)
def test_arrays(tmp_path, name):
    (tmp_path / "x.npy").write_bytes(b"\x80\x02" + (ANY | ARRAYS)[name] + b".")
    message = refusal(lambda: load_arrays(tmp_path / "x.npy"))
    assert "x.npy: expected a pickle of NumPy arrays and plain containers, but " in message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4e6  # kB


def zipped(content, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("last/data.pkl", content)
    return file


@pytest.mark.parametrize("name", ANY)
def test_checkpoints(name):
    content = b"\x80\x02}" + text("model_state_dict") + b"}" + text("x") + ANY[name] + b"ss."
    assert "expected a PyTorch checkpoint" in refusal(lambda: Checkpoint(zipped(content), name="last.pth"))


@pytest.mark.parametrize("is_legacy", [False, True])
@pytest.mark.parametrize("name", ANY)
def test_weights(tmp_path, name, is_legacy):
    """PyTorch reads them itself, and would not come back."""
    content = b"\x80\x02" + ANY[name] + b"."
    number = pickle.dumps(1, 2)
    (tmp_path / "x.pth").write_bytes(
        3 * number + content + number if is_legacy else zipped(content).getvalue()
    )
    message = refusal(lambda: check_torch_file(tmp_path / "x.pth", remedy="download it again"))
    assert "x.pth: expected weights as torch.save writes them, but they cannot be read" in message


def test_a_compressed_description_is_not_read():
    bomb = zipped(b"\x00" * (pickles.MOST_OBJECTS * 4), zipfile.ZIP_DEFLATED)
    assert len(bomb.getvalue()) < 1e5
    assert "compressed or too large" in refusal(lambda: Checkpoint(bomb, name="last.pth"))


def test_instructions_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_INSTRUCTIONS", 1000)
    (tmp_path / "x.npy").write_bytes(b"\x80\x02" + b"]0" * 2000 + b"N.")
    assert "more than 1000 instructions" in refusal(lambda: load_arrays(tmp_path / "x.npy"))


def test_what_people_save_passes(tmp_path):
    weights = {"a": torch.zeros(3), "step": 2**40, "names": [("x", (1, 2))]}
    for number, content in enumerate([weights, torch.nn.Linear(2, 2)]):
        for is_zip in (True, False):
            path = tmp_path / f"{number}{is_zip}.pt"
            torch.save(content, path, _use_new_zipfile_serialization=is_zip)
            check_torch_file(path, remedy="")
    np.save(tmp_path / "names.npy", {"names": np.array(["a"] * 100_000, object), "sfreq": np.float64(1)})
    assert len(load_arrays(tmp_path / "names.npy")["names"]) == 100_000
