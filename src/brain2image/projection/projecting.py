"""fMRI projected through the ridge of a MindEye2 checkpoint, and the projections of several subjects as one.

The embedding is the input of MindEye2's backbone. Each single-subject checkpoint has a space of its own, as
its backbone was trained anew; the ridges of one multi-subject checkpoint share theirs (Scotti et al.,
"MindEye2", ICML 2024, section 2.1).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from brain2image.core.devices import compute_device
from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular
from brain2image.formats.hdf5 import atomic_hdf5, open_trials, read_attributes, read_rows, write_trials
from brain2image.formats.precision import allow_tf32
from brain2image.weights.sources import check_finite

# 1024 trials × 15,724 voxels are 64 MB, enough for the matrix product to run at full speed.
BLOCK_TRIALS = 1024
# Of z-scored betas, whichever trials the scores were fitted on.
RMS_RANGE = (0.3, 3.0)
SOURCE = ("checkpoint", "sha256")


def project(blocks: Iterable[np.ndarray], weight: np.ndarray, bias: np.ndarray) -> Iterator[np.ndarray]:
    """Embed blocks of trials: ``betas @ weight.T + bias``, on a GPU where there is one.

    Parameters
    ----------
    blocks : arrays (n_trials, n_voxels) float32, z-scored betas.
    weight : (n_features, n_voxels) float32.
    bias : (n_features,) float32.

    Yields
    ------
    (n_trials, n_features) float32 for each block.

    """
    device = compute_device()
    affine = _affine_cpu(weight, bias) if device == "cpu" else _affine_gpu(weight, bias, device)
    yield from map(affine, blocks)


def _affine_cpu(weight: np.ndarray, bias: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    def affine(betas: np.ndarray) -> np.ndarray:
        # NumPy's OpenBLAS takes 18 % less CPU time than PyTorch's MKL for this product on an AMD EPYC
        product = betas @ weight.T
        product += bias
        return product

    return affine


def _affine_gpu(weight: np.ndarray, bias: np.ndarray, device: str) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    allow_tf32("fp32")  # not here: the disk sets the pace, and everything is measured against the embedding
    matrix, offset = (torch.from_numpy(array).to(device) for array in (weight, bias))
    return lambda betas: torch.addmm(offset, torch.from_numpy(betas).to(device), matrix.T).cpu().numpy()


def project_fmri(betas: str | Path, ridge: str | Path, *, out: str | Path) -> None:
    """Project a subject's betas file through an extracted ridge, block by block.

    Parameters
    ----------
    betas : HDF5 with ``betas`` (n_trials, n_voxels) float32, there or behind a link, and the trials table.
    ridge : safetensors with ``weight``, ``bias`` and the checkpoint's name and SHA-256 as metadata.
    out : HDF5 to write: ``embedding`` (n_trials, n_features) float32, the trials table, and the attributes
        ``checkpoint`` and ``sha256``.

    Raises
    ------
    InputError
        When the betas cannot be read, are not finite or not z-scored, or do not fit the ridge.
    """
    weight, bias, source = _read_ridge(ridge)
    with open_trials(betas, "betas", ("n_trials", "n_voxels")) as (dataset, trials):
        if dataset.shape[1] != weight.shape[1]:
            raise InputError(
                f"{betas}: expected betas of {weight.shape[1]} voxels, the width of {ridge}, got "
                f"{dataset.shape[1]}; betas and checkpoint must be of the same NSD subject"
            )
        with atomic_hdf5(out) as target:
            embedding = target.create_dataset("embedding", (len(dataset), len(bias)), np.float32)
            start = 0
            for block in project(_checked_blocks(dataset), weight, bias):
                embedding[start : start + len(block)] = block
                start += len(block)
            write_trials(target, trials, source)


def _read_ridge(path: str | Path) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Read weight, bias and source of a file that `ridge.extract_ridge` wrote."""
    check_regular(path, remedy="delete it and run again")
    try:
        with safe_open(path, framework="numpy") as tensors:
            weight, bias = (tensors.get_tensor(name) for name in ("weight", "bias"))
            source = tensors.metadata() or {}
    except (OSError, TypeError, SafetensorError) as error:  # TypeError: NumPy, of bfloat16
        raise InputError(
            f"{path}: cannot read this ridge ({reason(error)}); delete it and run again"
        ) from None
    is_ridge = weight.ndim == 2 and bias.shape == weight.shape[:1]
    if not is_ridge or not weight.dtype == bias.dtype == np.float32 or not set(SOURCE) <= set(source):
        raise InputError(
            f"{path}: expected weight (n_features, n_voxels) and bias (n_features,) float32 and their "
            f"source ({', '.join(SOURCE)}), got {weight.dtype} {weight.shape}, {bias.dtype} {bias.shape} and "
            f"{', '.join(source) or 'nothing'}; delete it and run again"
        )
    check_finite({"weight": weight, "bias": bias}, source=path, remedy="download the checkpoint again")
    return weight, bias, source


def _checked_blocks(betas: h5py.Dataset) -> Iterator[np.ndarray]:
    """Yield blocks of trials, always in the same memory; the values are checked while they pass."""
    buffer = np.empty((min(BLOCK_TRIALS, len(betas)), betas.shape[1]), np.float32)
    path, total = betas.file.filename, 0.0
    for start in range(0, len(betas), BLOCK_TRIALS):
        block = buffer[: min(BLOCK_TRIALS, len(betas) - start)]
        try:
            betas.read_direct(block, np.s_[start : start + len(block)])
        except OSError as error:
            raise InputError(
                f"{path}: cannot read this file from row {start} on ({reason(error)}); download it again"
            ) from None
        power = np.vdot(block, block)
        if not np.isfinite(power):
            _check_finite(block, start, path)
        total += float(power)
        yield block
    rms = np.sqrt(total / betas.size)
    if not RMS_RANGE[0] <= rms <= RMS_RANGE[1]:
        raise InputError(
            f"{path}: expected z-scored betas with a root mean square of {RMS_RANGE[0]} to {RMS_RANGE[1]}, "
            f"got {rms:.3g}; use betas_all_subj0X_fp32_renorm.hdf5"
        )


def _check_finite(block: np.ndarray, start: int, path: str) -> None:
    bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
    if bad.size:
        raise InputError(
            f"{path}: expected finite betas, got NaN or infinity in row {start + bad[0]}; download it again"
        )


def combine_projections(
    projections: Sequence[str | Path], *, subjects: Sequence[str], out: str | Path
) -> None:
    """Put the projections of several NSD subjects into one file, subject after subject.

    Parameters
    ----------
    projections : files of `project_fmri`, one a subject, all through ridges of one checkpoint.
    subjects : ``subj01`` and so on, in the same order.
    out : HDF5 to write: ``embedding`` (n_trials, n_features) float32; the trials tables with the column
        subject (1 to 8) and repetitions counted over all subjects; and the attributes of the projections.

    Raises
    ------
    InputError
        When the projections come from several checkpoints: their spaces are unrelated.
    """
    with ExitStack() as stack, atomic_hdf5(out) as target:
        opened = [
            stack.enter_context(open_trials(projection, "embedding", ("n_trials", "n_features")))
            for projection in projections
        ]
        parts = [part for part, _ in opened]
        source = _common_source(parts)
        tables = [
            table.assign(subject=int(subject.removeprefix("subj")))
            for (_, table), subject in zip(opened, subjects, strict=True)
        ]
        trials = pd.concat(tables, ignore_index=True)
        trials["repetition"] = trials.groupby("image").cumcount()
        embedding = target.create_dataset("embedding", (len(trials), parts[0].shape[1]), np.float32)
        start = 0
        for part in parts:
            for row in range(0, len(part), BLOCK_TRIALS):
                block = read_rows(part, slice(row, row + BLOCK_TRIALS))
                embedding[start : start + len(block)] = block
                start += len(block)
        write_trials(target, trials, source)


def _common_source(parts: Sequence[h5py.Dataset]) -> dict[str, str]:
    """Return the checkpoint of the projections, if it is one."""
    sources, first = [], parts[0].file.filename
    for part in parts:
        path, attributes = part.file.filename, read_attributes(part.file, SOURCE)
        sources.append({name: str(attributes[name]) for name in SOURCE})
        if sources[-1] != sources[0]:
            raise InputError(
                f"{path}: expected a projection through {sources[0]['checkpoint']}, as in {first}, got "
                f"{sources[-1]['checkpoint']} (sha256 {sources[0]['sha256'][:8]} and "
                f"{sources[-1]['sha256'][:8]}): each final_subj0X checkpoint has a space of its own; combine "
                "subjects of one final_multisubject_* checkpoint"
            )
        if part.shape[1] != parts[0].shape[1]:
            raise InputError(
                f"{path}: expected {parts[0].shape[1]} features, as in {first}, got {part.shape[1]}; delete "
                "both and run again"
            )
    return sources[0]
