"""The name of this computer's processor."""

import platform
from contextlib import suppress
from pathlib import Path


def processor_name(cpuinfo: str | Path = "/proc/cpuinfo") -> str:
    """Return the model of this computer's processor, its kind where nothing names the model."""
    with suppress(OSError):
        for line in Path(cpuinfo).read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
