"""The three loss terms, each a mean over the batch in the standardised target space, and their sum."""

import math

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
import torch.nn.functional as F
from torch import Tensor, nn

from brain2image.config import LossConfig
from brain2image.constants.temperatures import TEMPERATURES


def mse(predictions: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Compute the mean squared error, mean(w (prediction - target)^2); 1 for an output of zeros.

    Parameters
    ----------
    predictions, targets : (n_trials, n_features) float32.
    weights : w, (n_trials,) float32 of mean 1; None for ones.
    """
    if weights is None:
        return F.mse_loss(predictions, targets)
    return (weights * (predictions - targets).square().mean(dim=1)).mean()


def info_nce(
    predictions: Tensor,
    targets: Tensor,
    images: Tensor | None = None,
    weights: Tensor | None = None,
    groups: Tensor | None = None,
    *,
    temperature: float | Tensor,
    symmetric: bool = True,
    duplicate_cosine: float = 0.0,
) -> Tensor:
    """Compute InfoNCE on cosine similarities, in which trials of one picture are no negatives.

    mean_i -w_i log(exp(s_ii / t) / sum_j exp(s_ij / t)) from each prediction to the targets; j runs over i
    itself and the rows of other pictures. ``symmetric`` averages it with the same from each target to the
    predictions.

    Parameters
    ----------
    predictions, targets : (n_trials, n_features) float32.
    images : (n_trials,) int64, the EEG's picture of each row; None when all differ.
    weights : w, (n_trials,) float32 of mean 1; None for ones.
    groups : (n_trials,) int64; only rows of one group are negatives of one another. None: all are.
    temperature : t, without unit; a 0-dimensional tensor where it is learned.
    duplicate_cosine : rows whose targets have this cosine or more are no negatives of one another either, as
        predicted targets of different pictures may nearly be equal; 0 leaves all of them.

    Source: van den Oord et al. 2018 (https://arxiv.org/abs/1807.03748), equation 4; symmetric as in CLIP.
    """
    answers = F.normalize(targets, dim=1)
    logits = F.normalize(predictions, dim=1) @ answers.T / temperature
    same = torch.zeros_like(logits, dtype=torch.bool)
    if images is not None:
        same |= images[:, None] == images[None, :]
    if groups is not None:
        same |= groups[:, None] != groups[None, :]
    if duplicate_cosine:
        same |= answers @ answers.T >= duplicate_cosine
    logits = logits.masked_fill(same.fill_diagonal_(False), -torch.inf)
    own = torch.arange(len(logits), device=logits.device)
    forward = F.cross_entropy(logits, own, reduction="none")
    both = (forward + F.cross_entropy(logits.T, own, reduction="none")) / 2 if symmetric else forward
    return both.mean() if weights is None else (weights * both).mean()


def prototype_distillation(
    predictions: Tensor,
    targets: Tensor,
    clusters: Tensor,
    weights: Tensor | None = None,
    *,
    n_clusters: int,
    temperature: float,
) -> Tensor:
    """Make EEG relate to the EEG prototypes as fMRI relates to the fMRI prototypes.

    w_i KL(softmax(y_i . P_fMRI / t) || softmax(x_i . P_EEG / t)), mean over i, with unit vectors x_i, y_i of
    predictions and targets, and P the mean directions (unit length) of the clusters present in the batch.
    Zero when fewer than two clusters are present.

    Parameters
    ----------
    predictions, targets : (n_trials, n_features) float32.
    clusters : (n_trials,) int64, the K-means cluster of each row's picture, 0 … n_clusters - 1.
    weights : w, (n_trials,) float32 of mean 1; None for ones.
    n_clusters : of all pairs; to count those of the batch, a GPU would have to be waited for.
    temperature : t, without unit.
    """
    members = clusters[:, None] == torch.arange(n_clusters, device=clusters.device)
    student, teacher = (_log_membership(rows, members, temperature) for rows in (predictions, targets))
    divergence = F.kl_div(student, teacher, log_target=True, reduction="none").sum(dim=1)
    return divergence.mean() if weights is None else (weights * divergence).mean()


def _log_membership(rows: Tensor, members: Tensor, temperature: float) -> Tensor:
    """Compute the log softmax over the prototypes; 0 where a cluster is absent, and so counts nothing."""
    rows, absent = F.normalize(rows, dim=1), ~members.any(dim=0)
    prototypes = F.normalize(members.T.to(rows.dtype) @ rows, dim=1)
    similarity = (rows @ prototypes.T / temperature).masked_fill(absent, -torch.inf)
    return F.log_softmax(similarity, dim=1).masked_fill(absent, 0.0)


class AlignmentLoss(nn.Module):
    """The scaled sum of the terms that are switched on.

    Predictions and targets come standardised (`AlignmentModel.standardise`). An output of zeros then has a
    mean squared error of 1 whatever the embedding's unit is, and with the default scales each term gives 5 %
    or more of the first gradient; unstandardised and times 1000 the error alone would reach 10^5 within a few
    steps, and the distillation would give less than 0.1 %.

    Parameters
    ----------
    config : scales, temperature and options.
    n_clusters : number of the pictures' clusters.

    Attributes
    ----------
    log_temperature : () float32, logarithm of InfoNCE's temperature; a parameter where it is learned. The
        distillation keeps the configured temperature: it could learn to be zero at an infinite one.
    """

    def __init__(self, config: LossConfig, n_clusters: int):
        super().__init__()
        self.config, self.n_clusters = config, n_clusters
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(config.temperature)), requires_grad=config.learnable_temperature
        )

    def forward(
        self,
        predictions: Tensor,
        targets: Tensor,
        images: Tensor,
        clusters: Tensor,
        weights: Tensor | None = None,
        groups: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the terms that are on, unscaled, their scaled sum as ``loss``, a learned ``temperature``.

        They are computed in float32 under autocast too: a cosine over the temperature needs its digits.

        Parameters
        ----------
        predictions, targets : (n_trials, n_features) float32 or a shorter float, standardised.
        images, clusters : (n_trials,) int64.
        weights : how much each row counts, (n_trials,) float32 of mean 1; None: all alike.
        groups : (n_trials,) int64, see `info_nce`.
        """
        with torch.autocast(predictions.device.type, enabled=False):
            return self._terms(predictions.float(), targets.float(), images, clusters, weights, groups)

    def _terms(
        self,
        predictions: Tensor,
        targets: Tensor,
        images: Tensor,
        clusters: Tensor,
        weights: Tensor | None,
        groups: Tensor | None,
    ) -> dict[str, Tensor]:
        config, temperature, terms = self.config, self.temperature(), {}
        if config.mse:
            terms["mse"] = mse(predictions, targets, weights)
        if config.info_nce:
            terms["info_nce"] = info_nce(
                predictions,
                targets,
                images,
                weights,
                groups,
                temperature=temperature,
                symmetric=config.symmetric,
                duplicate_cosine=config.duplicate_cosine,
            )
        if config.prototype:
            terms["prototype"] = prototype_distillation(
                predictions,
                targets,
                clusters,
                weights,
                n_clusters=self.n_clusters,
                temperature=config.temperature,
            )
        total = sum(getattr(config, name) * term for name, term in terms.items())
        if config.learnable_temperature:
            terms["temperature"] = temperature.detach()
        return {"loss": total, **terms}

    def temperature(self) -> Tensor:
        """Return InfoNCE's temperature, () float32; a learned one is first brought back into its range."""
        if self.config.learnable_temperature:
            with torch.no_grad():  # clamped in place, as a clamped copy would have no gradient out there
                self.log_temperature.clamp_(*map(math.log, TEMPERATURES))
        return self.log_temperature.exp()


def gathered(rows: Tensor) -> Tensor:
    """Gather the rows of all processes that train together, (n_trials, ...); gradients flow back to each.

    Every process then has the loss of the whole batch, and the mean over processes that DDP takes of their
    gradients is the gradient of that loss: the backward pass of the gathering adds up what all sent.
    """
    if not dist.is_initialized():
        return rows
    return torch.cat(dist_nn.all_gather(rows.contiguous()))
