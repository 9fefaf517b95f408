"""The ridge layer of MindEye2 checkpoints.

Scotti et al., "MindEye2: Shared-Subject Models Enable fMRI-To-Image With 1 Hour of Data", ICML 2024, section
2.1: a linear layer of each subject maps its voxels to the 4096 inputs of the shared backbone. Checkpoints:
https://huggingface.co/datasets/pscotti/mindeyev2/tree/main/train_logs
"""

import pickle
import re
from pathlib import Path

import numpy as np

from brain2image.errors import InputError

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
