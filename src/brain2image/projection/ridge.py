"""The ridge layer of MindEye2 checkpoints, and fMRI projected through it.

Scotti et al., "MindEye2: Shared-Subject Models Enable fMRI-To-Image With 1 Hour of Data", ICML 2024, section
2.1: a linear layer of each subject maps its voxels to the 4096 inputs of the shared backbone. Checkpoints:
https://huggingface.co/datasets/pscotti/mindeyev2/tree/main/train_logs
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError
from brain2image.datasets.nsd.checks import N_VOXELS
from brain2image.formats.checkpoints import Checkpoint
from brain2image.weights.checkpoint_parts import keep_parts, read_parts
from brain2image.weights.sources import check_finite, redact

WHAT = "the ridge"  # is read, in the log
RIDGE_WEIGHT = re.compile(r"ridge\.linears\.(\d+)\.weight")


def read_ridge(path_or_url: str | Path, *, subject: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Read weight and bias of a checkpoint's ridge layer; the rest is neither read nor downloaded.

    Parameters
    ----------
    path_or_url : ``last.pth`` of a model, as a file, ``https://…`` or ``hf://…``.
    subject : ``subj01`` to ``subj08``; needed for ``final_multisubject_subj0X``, which holds the ridges of
        all subjects but the X-th, in ascending order.

    Returns
    -------
    weight : (n_features, n_voxels) float32, 4096 features in the published files.
    bias : (n_features,) float32.

    Raises
    ------
    InputError
        When the file is missing, no checkpoint, damaged, or has no ridge of this subject.
    """
    checkpoint = str(path_or_url)
    return read_parts(checkpoint, lambda content, _: _ridge(content, checkpoint, subject), what=WHAT)


def extract_ridge(checkpoint: str, *, subject: str, out: str | Path) -> None:
    """Write a checkpoint's ridge as a safetensors file.

    The ridge of a checkpoint on a server is kept in the shared cache, so that it is downloaded once. Where
    the server gives no parts of files, the whole checkpoint is downloaded into the cache.

    Parameters
    ----------
    checkpoint : file, ``https://…`` or ``hf://…``.
    subject : ``subj01`` to ``subj08``.
    out : ``weight`` (n_features, n_voxels) and ``bias`` (n_features,) float32, and as metadata
        ``checkpoint`` (name or address), ``sha256``, ``size`` in bytes and, of one on a server, ``commit``.
        The hash is that of the whole checkpoint: computed where all of it is at hand, else as the server
        states it, and empty where it does not. The ridge itself is verified by the CRC-32 of its two
        storages.
    """
    write = partial(_write_ridge, checkpoint, subject)
    keep_parts(checkpoint, write, kind="ridges", identity=(subject,), name="ridge.safetensors", out=out)


def _write_ridge(checkpoint: str, subject: str, out: str | Path) -> None:
    def read(content: Checkpoint, source: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
        return *_ridge(content, checkpoint, subject), dict(source)

    weight, bias, source = read_parts(checkpoint, read, what=WHAT, is_hashed=True)
    with atomic_path(out) as path:
        save_file({"weight": weight, "bias": bias}, path, metadata=source)


def _ridge(content: Checkpoint, checkpoint: str, subject: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Read weight and bias of a subject's ridge in an open checkpoint."""
    checkpoint = redact(checkpoint)
    numbers = sorted(int(match[1]) for match in map(RIDGE_WEIGHT.fullmatch, content.tensors) if match)
    number = _ridge_number(numbers, checkpoint, subject)
    keys = [f"ridge.linears.{number}.{name}" for name in ("weight", "bias")]
    shape = content.tensors[keys[0]].shape
    bias_shape = content.tensors[keys[1]].shape if keys[1] in content.tensors else None
    if len(shape) != 2 or bias_shape != shape[:1]:
        raise InputError(
            f"{checkpoint}: expected a ridge of shapes (n_features, n_voxels) and (n_features,), "
            f"got {shape} and {bias_shape}; download the checkpoint again"
        )
    owner = next((name for name, n_voxels in N_VOXELS.items() if n_voxels == shape[1]), subject)
    if subject and owner != subject:
        raise InputError(
            f"{checkpoint}: expected a ridge of {subject}'s {N_VOXELS[subject]} voxels, got {shape[1]}, "
            f"the number of {owner}; use the checkpoint of {subject}"
        )
    weight, bias = ridge = content.read(keys[0]), content.read(keys[1])
    check_finite({"weight": weight, "bias": bias}, source=checkpoint, remedy="download it again")
    return ridge


def _ridge_number(numbers: list[int], checkpoint: str, subject: str | None) -> int:
    """Find which of a checkpoint's ridges is the subject's."""
    if len(numbers) == 1:
        return numbers[0]
    held_out = re.search(r"final_multisubject_(subj0[1-8])", checkpoint)
    trained = [name for name in N_VOXELS if held_out and name != held_out[1]]
    if held_out is None or len(numbers) != len(trained):
        raise InputError(
            f"{checkpoint}: expected one ridge (ridge.linears.0.weight), or the seven of "
            f"final_multisubject_subj0X, got {len(numbers)}; use final_subj0X_pretrained_40sess_24bs/last.pth"
        )
    if subject not in trained:
        raise InputError(
            f"{checkpoint}: expected one of its subjects, {', '.join(trained)}, got {subject}; {held_out[1]} "
            "was held out of its training and has no ridge there"
        )
    return numbers[trained.index(subject)]
