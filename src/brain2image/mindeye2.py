"""The ridge layer of MindEye2 checkpoints, and fMRI projected through it.

Scotti et al., "MindEye2: Shared-Subject Models Enable fMRI-To-Image With 1 Hour of Data", ICML 2024, section
2.1: a linear layer of each subject maps its voxels to the 4096 inputs of the shared backbone. Checkpoints:
https://huggingface.co/datasets/pscotti/mindeyev2/tree/main/train_logs
"""

import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from safetensors import safe_open

from brain2image.devices import compute_device
from brain2image.errors import InputError
from brain2image.files import atomic_path, read_trials, write_trials

# 1024 trials × 15,724 voxels are 64 MB, enough for the matrix product to run at full speed.
BLOCK_TRIALS = 1024
RIDGE_WEIGHT = re.compile(r"ridge\.linears\.(\d+)\.weight")


def read_ridge(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a checkpoint's ridge layer; nothing else of the file is read into memory.

    Parameters
    ----------
    path : ``last.pth`` of a single-subject model (``final_subj01_pretrained_40sess_24bs`` and so on).

    Returns
    -------
    weight : (n_features, n_voxels) float32, 4096 features in the published files.
    bias : (n_features,) float32.

    Raises
    ------
    InputError
        When the file is missing, no checkpoint, or has no ridge or several.
    """
    state = _state_dict(Path(path))
    numbers = [match[1] for match in map(RIDGE_WEIGHT.fullmatch, state) if match]
    if len(numbers) != 1:
        raise InputError(
            f"{path}: expected one ridge (ridge.linears.0.weight), got {len(numbers)}; "
            "use the checkpoint of a single subject, final_subj0X_pretrained_40sess_24bs/last.pth"
        )
    weight, bias = (
        state[f"ridge.linears.{numbers[0]}.{name}"].float().numpy() for name in ("weight", "bias")
    )
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise InputError(
            f"{path}: expected a ridge of shapes (n_features, n_voxels) and (n_features,), "
            f"got {weight.shape} and {bias.shape}; download the checkpoint again"
        )
    # Copies: the file is mapped into memory and may go away.
    return weight.copy(), bias.copy()


def _state_dict(path: Path) -> dict:
    import torch

    try:
        checkpoint = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        return checkpoint["model_state_dict"]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; see config key weights.mindeye2") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: expected a MindEye2 checkpoint with 'model_state_dict' ({reason}); download it again"
        ) from None


def project(blocks: Iterator[np.ndarray], weight: np.ndarray, bias: np.ndarray) -> Iterator[np.ndarray]:
    """Embeddings of blocks of trials: ``betas @ weight.T + bias``, on a GPU where there is one.

    Parameters
    ----------
    blocks : arrays (n_trials, n_voxels) float32, z-scored betas.
    weight : (n_features, n_voxels) float32.
    bias : (n_features,) float32.

    Yields
    ------
    (n_trials, n_features) float32 for each block.

    Raises
    ------
    InputError
        When betas and ridge differ in their number of voxels.
    """
    import torch

    device = compute_device()
    weight, bias = (torch.from_numpy(array).to(device) for array in (weight, bias))
    for betas in blocks:
        if betas.shape[1] != weight.shape[1]:
            raise InputError(
                f"expected betas of {weight.shape[1]} voxels, the width of the ridge, got {betas.shape[1]}; "
                "betas and checkpoint must be of the same NSD subject"
            )
        yield torch.addmm(bias, torch.from_numpy(betas).to(device), weight.T).cpu().numpy()


def project_fmri(betas: str | Path, ridge: str | Path, *, out: str | Path) -> None:
    """Project a subject's betas file through an extracted ridge, block by block.

    Parameters
    ----------
    betas : HDF5 with ``betas`` (n_trials, n_voxels) float32 and the trials table.
    ridge : safetensors with ``weight``, ``bias`` and the checkpoint's path and SHA-256 as metadata.
    out : HDF5 to write: ``embedding`` (n_trials, n_features) float32, the trials table, and the attributes
        ``checkpoint`` and ``sha256``.
    """
    with safe_open(ridge, framework="numpy") as tensors:
        weight, bias, source = tensors.get_tensor("weight"), tensors.get_tensor("bias"), tensors.metadata()
    with h5py.File(betas) as file, atomic_path(out) as path, h5py.File(path, "w") as target:
        source_betas = file["betas"]
        starts = range(0, len(source_betas), BLOCK_TRIALS)
        shape = (len(source_betas), len(bias))
        embedding = target.create_dataset("embedding", shape, np.float32, chunks=(1, len(bias)))
        blocks = (source_betas[start : start + BLOCK_TRIALS] for start in starts)
        for start, block in zip(starts, project(blocks, weight, bias), strict=True):
            embedding[start : start + len(block)] = block
        write_trials(target, read_trials(file), source)
