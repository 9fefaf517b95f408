"""The three loss terms, each a mean over the batch in the standardised target space."""

import torch
import torch.nn.functional as F
from torch import Tensor


def mse(predictions: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error, mean((prediction - target)^2); 1 for an output of zeros.

    Parameters
    ----------
    predictions, targets : (n_trials, n_features) float32.
    """
    return F.mse_loss(predictions, targets)


def info_nce(
    predictions: Tensor, targets: Tensor, pairs: Tensor | None = None, *, temperature: float
) -> Tensor:
    """Symmetric InfoNCE on cosine similarities, in which trials of one picture are no negatives.

    mean_i -log(exp(s_ii / t) / sum_j exp(s_ij / t)), averaged over rows (prediction to targets) and columns
    (target to predictions); j runs over i itself and the rows of other pictures.

    Parameters
    ----------
    predictions, targets : (n_trials, n_features) float32.
    pairs : (n_trials,) int64, the picture pair of each row; None when all differ.
    temperature : t, without unit.

    Source: van den Oord et al. 2018 (https://arxiv.org/abs/1807.03748), equation 4; symmetric as in CLIP.
    """
    logits = F.normalize(predictions, dim=1) @ F.normalize(targets, dim=1).T / temperature
    if pairs is not None:
        same = pairs[:, None] == pairs[None, :]
        logits = logits.masked_fill(same.fill_diagonal_(False), -torch.inf)
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def prototype_distillation(
    predictions: Tensor, targets: Tensor, clusters: Tensor, *, temperature: float
) -> Tensor:
    """Make EEG relate to the EEG prototypes as fMRI relates to the fMRI prototypes.

    KL(softmax(y_i . P_fMRI / t) || softmax(x_i . P_EEG / t)), mean over i, with unit vectors x_i, y_i of
    predictions and targets, and P the mean directions (unit length) of the clusters present in the batch.
    Zero when fewer than two clusters are present.

    Parameters
    ----------
    predictions, targets : (n_trials, n_features) float32.
    clusters : (n_trials,) int64, the K-means cluster of each row's pair.
    temperature : t, without unit.
    """
    present, cluster = clusters.unique(return_inverse=True)
    members = F.one_hot(cluster, len(present)).to(predictions.dtype)
    student, teacher = (_log_membership(rows, members, temperature) for rows in (predictions, targets))
    return F.kl_div(student, teacher, log_target=True, reduction="batchmean")


def _log_membership(rows: Tensor, members: Tensor, temperature: float) -> Tensor:
    rows = F.normalize(rows, dim=1)
    prototypes = F.normalize(members.T @ rows, dim=1)
    return F.log_softmax(rows @ prototypes.T / temperature, dim=1)
