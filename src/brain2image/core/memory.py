"""How much memory is free, so that what will not fit is said before hours are spent."""

import os
from pathlib import Path

from brain2image.core.errors import InputError

MEMINFO = Path("/proc/meminfo")  # of Linux
GROUP = Path("/sys/fs/cgroup")  # limit and use of a container or of a scheduler's job


def free_memory(device: str) -> int | None:
    """Return how many bytes of a device's memory are free; None where nothing says so.

    Parameters
    ----------
    device : as PyTorch names it, ``cpu`` or ``cuda:0``.
    """
    if device != "cpu":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    found = []
    if MEMINFO.exists():
        lines = dict(line.split(":") for line in MEMINFO.read_text().splitlines() if ":" in line)
        if available := lines.get("MemAvailable", "").split():
            found.append(1024 * int(available[0]))
    limit, used = (_number(GROUP / name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:
        found.append(limit - used + _reclaimable())
    return min(found) if found else None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such group, or the word max
        return None


def _reclaimable() -> int:
    """Return how many bytes of the group's use are files that were read, which give way."""
    try:
        facts = dict(line.split() for line in (GROUP / "memory.stat").read_text().splitlines())
        return int(facts.get("inactive_file", 0))
    except (OSError, ValueError):
        return 0


def check_memory(needed: float, device: str, *, what: str, remedy: str) -> None:
    """Raise InputError where a device has less memory free than something needs.

    Parameters
    ----------
    needed : bytes.
    device : as PyTorch names it.
    what : what needs them, and what to do about it, for the message.
    """
    free = free_memory(device)
    if free is not None and free < needed:
        place = "on this machine" if device == "cpu" else f"on {device}"
        raise InputError(
            f"expected {needed / 1e9:.1f} GB of free memory {place} for {what}, got {free / 1e9:.1f} GB; "
            f"{remedy}"
        )


def file_bytes(*paths: str | os.PathLike) -> int:
    """Return how many bytes files hold in all, 0 of those that are not there."""
    return sum(os.path.getsize(path) for path in paths if os.path.exists(path))
