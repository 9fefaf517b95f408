"""Where pretrained weights come from: a local file, a URL, or a repository of the Hugging Face Hub.

Only texts are looked at here; `weights.download` downloads.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular

HUB_SOURCE = re.compile(
    r"hf://(?P<datasets>datasets/)?(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[^/@]+))?/(?P<path>[^/@].*)"
)
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d*)?")
COMMIT = re.compile(r"[0-9a-f]{40}")

CBRAMOD = "hf://weighting666/CBraMod/pretrained_weights.pth"
MINDEYE2 = (
    "hf://datasets/pscotti/mindeyev2@26421f100e4c6012a35ecadb272a0ec1d999202d"
    "/train_logs/final_{subj}_pretrained_40sess_24bs/last.pth"
)
UNCLIP = (
    "hf://datasets/pscotti/mindeyev2@26421f100e4c6012a35ecadb272a0ec1d999202d/unclip6_epoch0_step110000.ckpt"
)
COMPARING = "comparing:"  # opens the keys of networks that compare pictures

# Of encoders that are not built in: the repositories that the documentation of braindecode 1.8.1 names, and
# the file in which its models are published.
ENCODERS = {
    f"braindecode:{model}": f"hf://braindecode/{repository}/model.safetensors"
    for model, repository in {
        "CBraMod": "cbramod-pretrained",
        "InterpolatedBIOT": "biot-pretrained-six-datasets-18chs",
        "InterpolatedEEGPT": "eegpt-pretrained",
        "InterpolatedLaBraM": "labram-pretrained",
        "Labram": "labram-pretrained",
    }.items()
}


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

# What open_clip keeps beside weights of CLIP: how the model is built and pictures are prepared.
CLIP_CONFIG = "open_clip_config.json"
HIDDEN = "***"
# The variable by which jobs, whose params hold redacted sources, find the true ones; a JSON object.
TRUE_SOURCES = "BRAIN2IMAGE_SOURCES"
NAME_LENGTH = 100  # of a file in the cache, whatever the source calls it

# What follows the eight bytes that a safetensors file begins with, the length of its JSON header.
SAFETENSORS = b"{"
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
        """Tell whether the revision is a commit, so that the file never changes."""
        return COMMIT.fullmatch(self.revision or "") is not None


def is_remote(source: str) -> bool:
    """Tell whether a source is a URL and no file."""
    return SCHEME.match(source) is not None


def normalise(source: str) -> str:
    """Spell a source in one way: files without ``~`` and ``..``, URLs as they are.

    Raises
    ------
    ValueError
        When the scheme is unknown, or an ``hf://`` source names no file of a repository.
    """
    if not is_remote(source):
        return os.path.normpath(os.path.expanduser(source))
    if not source.startswith(("https://", "http://", "hf://")):
        raise ValueError(
            f"expected a file, or a source that starts with https:// or hf://, got {redact(source)!r}"
        )
    if source.startswith("hf://") and (not HUB_SOURCE.fullmatch(source) or source.endswith("/")):
        raise ValueError(f"expected hf://[datasets/]owner/repo[@revision]/path, got {redact(source)!r}")
    return source


def redact(source: str) -> str:
    """Spell a source as it may be written down and printed: without user, password and the query's values.

    What the values are for cannot be known, so all are hidden; eight digits of a hash tell two sources apart.
    A source without secrets, and one that was redacted before, stays as it is.
    """
    if not is_remote(source) or _without_secrets(source) in (source, re.sub(r"#[0-9a-f]{8}$", "", source)):
        return source
    return f"{_without_secrets(source)}#{hashlib.sha256(source.encode(errors='replace')).hexdigest()[:8]}"


def source_name(source: str) -> str:
    """Name a source as results may: an address as `redact` spells it, a file without the folders it is in.

    Of MindEye2's checkpoints, all called ``last.pth``, the folder that tells them apart stays.
    """
    if is_remote(source):
        return redact(source)
    *folders, name = re.split(r"[\\/]", source)
    return f"{folders[-1]}/{name}" if folders and folders[-1].startswith("final_") else name


def _without_secrets(source: str) -> str:
    scheme, _, rest = source.partition("#")[0].partition("://")
    address, mark, query = rest.partition("?")
    authority, slash, path = address.partition("/")
    if "@" in authority:
        authority = f"{HIDDEN}@{authority.rpartition('@')[2]}"
    elif not HOST.fullmatch(authority):  # a password with a slash or a question mark in it
        return f"{scheme}://{HIDDEN}"
    values = re.sub(r"([^&=]*=)?[^&]+", rf"\g<1>{HIDDEN}", query)
    return f"{scheme}://{authority}{slash}{path}{mark}{values}"


def true_sources(sources: Iterable[str]) -> dict[str, str]:
    """Return the environment variables by which `reveal` finds the sources behind their redacted forms."""
    hidden = {redact(source): source for source in sources if redact(source) != source}
    return {TRUE_SOURCES: json.dumps(hidden)} if hidden else {}


def reveal(source: str) -> str:
    """Return the source that stands behind a redacted one, in the jobs of a workflow."""
    return json.loads(os.environ.get(TRUE_SOURCES, "{}")).get(source, source)


def file_name(source: str, start: bytes) -> str:
    """Name the download of a source, by letters that any file system takes.

    Parameters
    ----------
    source : a URL.
    start : the first bytes of the file, by which safetensors are recognised: open_clip goes by the ending.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(urlsplit(source).path).name).lstrip(".")
    stem, ending = os.path.splitext(name)
    if is_safetensors(start):
        ending = ".safetensors"
    return f"{stem[: NAME_LENGTH - len(ending)] or 'weights'}{ending[:NAME_LENGTH]}"


def is_safetensors(start: bytes) -> bool:
    """Tell whether the first bytes of a file are those of safetensors."""
    return start[8:9] == SAFETENSORS


def hub_file(source: str) -> HubFile | None:
    """Parse the file that an ``hf://`` source names, written as for HfFileSystem; None for other sources."""
    match = HUB_SOURCE.fullmatch(source)
    if match is None:
        return None
    revision = match["revision"] and unquote(match["revision"])
    return HubFile(match["repo"], "dataset" if match["datasets"] else "model", revision, match["path"])


def format_size(n_bytes: int) -> str:
    """Write a number of bytes as people say it: ``8.9 GB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.1f} {unit}"
    return f"{n_bytes} bytes"


def format_age(seconds: float) -> str:
    """Write a length of time as people say it: ``12 days``."""
    for unit, length in (("days", 86_400), ("hours", 3600)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"


def check_start(start: bytes, *, source: str | os.PathLike, remedy: str) -> None:
    """Raise InputError if the first bytes of a file, 32 or more, are those of a failed download."""
    what = next((name for magic, name in NOT_WEIGHTS.items() if re.match(magic, start.lstrip())), None)
    if not start or what:
        raise InputError(f"{source}: expected weights, got {what or 'an empty file'}; {remedy}")


def check_file(path: str | os.PathLike) -> None:
    """Raise InputError unless a local file can be read and is no failed download."""
    if os.path.exists(path) and not os.path.isdir(path):
        check_regular(path, remedy="correct the path")
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; download it, or give an https:// or hf:// source in the config's weights"
        ) from None
    except (OSError, ValueError) as error:  # a folder, a name too long or with a zero byte, no permission
        raise InputError(
            f"{path}: expected a file of weights, but it cannot be read ({reason(error)}); correct the path"
        ) from None
    check_start(start, source=path, remedy="download it again, or give its https:// or hf:// source")


def check_finite(weights: Mapping[str, Any], *, source: str | os.PathLike, remedy: str) -> None:
    """Raise InputError if a tensor or array holds NaN or infinity, which would spoil all that follows."""
    for name, values in weights.items():
        # the two extremes show either, and need no memory; of an empty one there are none
        if math.prod(values.shape) and not all(map(math.isfinite, map(float, (values.min(), values.max())))):
            raise InputError(f"{source}: expected finite weights, got NaN or infinity in {name}; {remedy}")
