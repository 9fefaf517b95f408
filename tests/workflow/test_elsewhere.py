"""Archives and HDF5 files whose members and links point elsewhere: read or refused, and nothing written."""

import io
import os
import tarfile
import zipfile

import h5py
import pytest
from helpers.small_releases import READERS, write_checkpoint
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from brain2image.core.errors import InputError
from brain2image.formats.checkpoints import Checkpoint
from brain2image.formats.tars import find_samples

PARTS = st.sampled_from(["..", ".", "", "a", "é", "x.jpg", "con", "a\\..\\b", "\n"])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
TYPES = {
    "file": tarfile.REGTYPE,
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "device": tarfile.CHRTYPE,
}
SAME_FOLDER = settings(
    max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder two below the one that is looked at afterwards."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    return inner


@SAME_FOLDER
@given(name=NAMES, kind=st.sampled_from(list(TYPES)), target=NAMES)
@example(name="/x.jpg", kind="file", target="")
@example(name="../x.jpg", kind="file", target="")
@example(name="x.jpg", kind="symbolic link", target="/etc/passwd")
@example(name="x.jpg", kind="hard link", target="../../x")
def test_members_of_a_tar(folder, name, kind, target):
    path = folder / "0.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = TYPES[kind], target, 3 * (kind == "file")
        tar.addfile(member, io.BytesIO(b"abc"))
    try:
        samples = find_samples(path, ["jpg"])
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert kind == "file"
        assert not any(".." in sample.split("/") or sample.startswith("/") for sample in samples)
    assert files_below(folder.parents[1]) == ["outer", "outer/inner", "outer/inner/0.tar"]


@SAME_FOLDER
@given(prefix=NAMES)
@example(prefix="..")
@example(prefix="/tmp")
def test_records_of_a_checkpoint(folder, prefix):
    write_checkpoint(folder)
    path = folder / "odd.pth"
    with zipfile.ZipFile(folder / "last.pth") as source, zipfile.ZipFile(path, "w") as archive:
        for entry in source.infolist():
            archive.writestr(entry.filename.replace("last", prefix, 1), source.read(entry))
    with path.open("rb") as file:
        try:
            checkpoint = Checkpoint(file, name=str(path))
            assert (checkpoint.read("ridge.linears.0.bias") == 0).all()
        except InputError as error:
            assert str(path) in str(error)
    (folder / "last.pth").unlink()
    assert files_below(folder.parents[1]) == ["outer", "outer/inner", "outer/inner/odd.pth"]


LINKS = {
    "to itself": lambda file, key: h5py.SoftLink(f"/{key}"),
    "to nothing": lambda file, key: h5py.SoftLink("/nothing"),
    "to the group that holds it": lambda file, key: file["/"],
    "to itself by way of the file's name": lambda file, key: h5py.ExternalLink(file.filename, key),
    "to no HDF5 file": lambda file, key: h5py.ExternalLink(os.devnull, key),
}
HDF5 = [
    (kind, name)
    for kind, reader in READERS.items()
    for name in reader.files
    if name.endswith((".h5", ".hdf5"))
]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(("kind", "name"), HDF5)
def test_links_of_hdf5_files(tmp_path, kind, name, link):
    root, out = tmp_path / "release", tmp_path / "out" / "out"
    root.mkdir()
    READERS[kind].write(root)
    with h5py.File(root / name, "r+") as file:
        for key in list(file):
            del file[key]
            file[key] = LINKS[link](file, key)
    with pytest.raises(InputError) as error:
        READERS[kind].read(root, out)
    assert str(root / name) in str(error.value)
    assert not out.parent.exists() or not list(out.parent.iterdir())
