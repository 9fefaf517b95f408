"""Where pretrained weights come from: a local file, a URL, or a repository of the Hugging Face Hub.

Only texts are looked at here; `brain2image.weights` downloads.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from brain2image.errors import InputError

HUB_SOURCE = re.compile(
    r"hf://(?P<datasets>datasets/)?(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[^/@]+))?/(?P<path>[^/@].*)"
)
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
COMMIT = re.compile(r"[0-9a-f]{40}")

CBRAMOD = "hf://weighting666/CBraMod/pretrained_weights.pth"
MINDEYE2 = (
    "hf://datasets/pscotti/mindeyev2@26421f100e4c6012a35ecadb272a0ec1d999202d"
    "/train_logs/final_{subj}_pretrained_40sess_24bs/last.pth"
)


class Known(NamedTuple):
    """What is known of a published file before it is downloaded: bytes (or None) and SHA-256."""

    size: int | None
    sha256: str


# From the files' pages on the Hub (Git LFS details). The size of subj01's checkpoint is not given there.
KNOWN = {
    MINDEYE2.format(subj="subj01"): Known(
        None, "66f0f81d4d69b51b939c07f6fd4bb18cc4e9db7a253e29296f023bed46559525"
    ),
    MINDEYE2.format(subj="subj02"): Known(
        8_885_586_258, "26029df21993e08e14867e79697bd98bac3ecef0424794ede3922c5aa33c1117"
    ),
    MINDEYE2.format(subj="subj05"): Known(
        8_865_286_482, "85090fba3b7676bde92a13eaf79d68250c9131f82148cf4aae70db65e68716fb"
    ),
    MINDEYE2.format(subj="subj07"): Known(
        8_859_437_394, "726c756b34fbb84392effd0cbb4578a7408f4bafa59fc92720af38f7940b2411"
    ),
    "hf://braindecode/cbramod-pretrained/pytorch_model.bin": Known(
        None, "44616452587522b3c84f7a90c5a5c8ff97ff4707a99686d9136b70df5d206287"
    ),
}

# What downloads leave behind when the file itself did not come.
# A page is not told by its < alone: the length that opens a safetensors file may spell blank and <.
NOT_WEIGHTS = {rb"version https://git-lfs": "a Git LFS pointer", rb"<[!?A-Za-z]": "a web page"}


class HubFile(NamedTuple):
    """A file of a repository on the Hub; without a revision the newest one."""

    repo: str
    repo_type: str
    revision: str | None
    path: str

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit, so that the file never changes."""
        return COMMIT.fullmatch(self.revision or "") is not None


def is_remote(source: str) -> bool:
    """Whether a source is a URL and no file."""
    return SCHEME.match(source) is not None


def normalise(source: str) -> str:
    """A source in one spelling: files without ``~`` and ``..``, URLs as they are.

    Raises
    ------
    ValueError
        When the scheme is unknown, or an ``hf://`` source names no file of a repository.
    """
    if not is_remote(source):
        return os.path.normpath(os.path.expanduser(source))
    if not source.startswith(("https://", "http://", "hf://")):
        raise ValueError(f"expected a file, or a source that starts with https:// or hf://, got {source!r}")
    if source.startswith("hf://") and not HUB_SOURCE.fullmatch(source):
        raise ValueError(f"expected hf://[datasets/]owner/repo[@revision]/path, got {source!r}")
    return source


def hub_file(source: str) -> HubFile | None:
    """The file that an ``hf://`` source names, in the notation of HfFileSystem; None for other sources."""
    match = HUB_SOURCE.fullmatch(source)
    if match is None:
        return None
    revision = match["revision"] and unquote(match["revision"])
    return HubFile(match["repo"], "dataset" if match["datasets"] else "model", revision, match["path"])


def format_size(n_bytes: int) -> str:
    """A number of bytes as people say it: ``8.9 GB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.1f} {unit}"
    return f"{n_bytes} bytes"


def check_start(start: bytes, *, source: str | os.PathLike, remedy: str) -> None:
    """Raise InputError if the first bytes of a file, 32 or more, are those of a failed download."""
    what = next((name for magic, name in NOT_WEIGHTS.items() if re.match(magic, start.lstrip())), None)
    if not start or what:
        raise InputError(f"{source}: expected weights, got {what or 'an empty file'}; {remedy}")


def check_file(path: str | os.PathLike) -> None:
    """Raise InputError unless a local file is there and no failed download."""
    if not Path(path).is_file():
        raise InputError(
            f"{path}: no such file; download it, or give an https:// or hf:// source in the config's weights"
        )
    with open(path, "rb") as file:
        check_start(
            file.read(64), source=path, remedy="download it again, or give its https:// or hf:// source"
        )
