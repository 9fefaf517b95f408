"""What validation says of an epoch: whether pictures are found, and whether training has ended."""

import torch.nn.functional as F
from torch import Tensor

from brain2image.config import TrainingConfig


def top1(predictions: Tensor, targets: Tensor) -> float:
    """Return the share of predictions whose own target is the nearest by cosine; a tie counts as a miss.

    Parameters
    ----------
    predictions, targets : (n_pairs, n_features) float32, standardised, one row a picture.
    """
    similarity = F.normalize(predictions, dim=1) @ F.normalize(targets, dim=1).T
    own = similarity.diagonal().unsqueeze(1)
    return ((similarity >= own).sum(dim=1) == 1).float().mean().item()


def is_finished(n_epochs: int, best_epoch: int, training: TrainingConfig) -> bool:
    """Tell whether all epochs are done, or the best one lies ``patience`` epochs back."""
    out_of_patience = training.patience > 0 and n_epochs - best_epoch >= training.patience
    return n_epochs >= training.epochs or out_of_patience
