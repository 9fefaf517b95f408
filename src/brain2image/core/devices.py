"""The devices that heavy computations run on: each GPU for one job at a time."""

import logging
import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from brain2image.core.disk import lock, user_name
from brain2image.core.errors import InputError
from brain2image.core.processors import processor_name

logger = logging.getLogger(__name__)

WAIT_SECONDS = 1.0  # between two looks at devices that are all taken
# Schedulers give every job its own devices, often all numbered from 0: a lock counts within one such job.
SCHEDULER_JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")

# Environment variable with the config's `allow_cpu`. It is no param of a rule: the results stay as they are.
ALLOW_CPU = "BRAIN2IMAGE_ALLOW_CPU"

# Open lock files of this process, by device. The lock goes with the process, however it ends.
_held: dict[int, IO] = {}


def compute_device() -> str:
    """Take a GPU that no other job of this user has, ``cuda:0`` and so on; ``cpu`` where there is none."""
    return compute_devices(1)[0]


def compute_devices(n_devices: int) -> list[str]:
    """Take GPUs, as PyTorch names them, or ``["cpu"]`` without CUDA; the log says which.

    Devices are those that PyTorch sees, so a ``CUDA_VISIBLE_DEVICES`` that a person or a scheduler set is
    obeyed. Among them the first free ones are taken and stay taken until the process ends; while there are
    too few, this waits. Asked again, the same process gets the same devices.

    Raises
    ------
    InputError
        When there are fewer GPUs than asked for, or none and the config does not allow the CPU.
    """
    import torch

    n_visible = torch.cuda.device_count()
    if n_visible == 0 and os.environ.get(ALLOW_CPU) == "False":
        raise InputError(
            "expected a GPU, as allow_cpu is false in the config, but PyTorch finds no CUDA device; run this "
            "on a machine with a GPU and its driver, or set allow_cpu: true"
        )
    if n_visible == 0:
        logger.info("no CUDA device found: computing on the CPU with %d threads", torch.get_num_threads())
        return ["cpu"]
    if n_devices > n_visible:
        raise InputError(
            f"expected {n_devices} GPUs, got {n_visible}; lower the job's resource: "
            f"--set-resources train:gpu={n_visible}"
        )
    taken = _claim(_device_names(n_visible), n_devices)
    torch.cuda.set_device(taken[0])  # what asks for no device by name, like pinned memory, takes no other one
    logger.info("computing on %s", ", ".join(f"GPU {n} ({torch.cuda.get_device_name(n)})" for n in taken))
    return [f"cuda:{number}" for number in taken]


def device_name(device: str) -> str:
    """Return what a device of `compute_devices` is called: the model of the GPU, or of the processor."""
    import torch

    return processor_name() if device == "cpu" else torch.cuda.get_device_name(device)


def _device_names(n_visible: int) -> list[str]:
    """Return what identifies each visible device on this machine, or within the scheduler's job."""
    job = next((f"{name}-{os.environ[name]}-" for name in SCHEDULER_JOBS if name in os.environ), "")
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = given if len(given) == n_visible and all(given) else map(str, range(n_visible))
    return [job + name.strip() for name in names]


def _claim(names: list[str], n_devices: int) -> list[int]:
    """Take ``n_devices`` devices, all at once: no jobs wait for each other with half of what they need."""
    waiting = False
    while len(_held) < n_devices:
        for number, name in enumerate(names):
            if number not in _held and len(_held) < n_devices and (file := _lock(name)):
                _held[number] = file
        if len(_held) < n_devices:
            while _held:
                _held.popitem()[1].close()
            if not waiting:
                logger.info("all %d GPUs are taken by other jobs: waiting for one", len(names))
            waiting = True
            time.sleep(WAIT_SECONDS)
    return sorted(_held)[:n_devices]


def _lock(name: str) -> IO | None:
    """Open and lock the file of a device; None where another process holds it."""
    return lock(_own_folder() / f"gpu-{name.replace('/', '_')}.lock")


def _own_folder() -> Path:
    """Make a folder below the temporary one that only this user can have made and can write to.

    In the temporary folder everybody may make anything: who made this one first could keep all devices
    locked, or lay links in it.
    """
    folder = Path(tempfile.gettempdir(), f"brain2image-{os.getuid()}")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found, me = folder.lstat(), os.getuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != me or found.st_mode & 0o022:
        raise InputError(
            f"{folder}: expected a folder of {user_name(me)} that nobody else may write to, for the locks of "
            f"GPUs, got {stat.filemode(found.st_mode)} of {user_name(found.st_uid)}; have it removed, or set "
            "TMPDIR to a folder of your own"
        )
    return folder
