"""What happens in one training step and in one validation: losses, learning rates, the best weights."""

import logging
import math
from collections import defaultdict
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from brain2image.config import RunConfig
from brain2image.errors import InputError
from brain2image.losses import AlignmentLoss
from brain2image.models.alignment import AlignmentModel

logger = logging.getLogger(__name__)

# Share of training rows whose query is the mean embedding, as it is whenever the model predicts; the other
# rows have their own fMRI embedding as query. It matters for `alignment: multi_token` alone.
MEAN_QUERY_SHARE = 0.5

# Share of the steps over which the learning rates rise from zero. AdamW's first steps are as long as the rate
# whatever the gradient is; across 4096 inputs they add up and would push the loss above that of zeros.
WARMUP_SHARE = 0.05


def top1(predictions: Tensor, targets: Tensor) -> float:
    """Share of predictions whose own target is the nearest by cosine; a tie counts as a miss.

    Parameters
    ----------
    predictions, targets : (n_pairs, n_features) float32, standardised, one row a picture.
    """
    similarity = F.normalize(predictions, dim=1) @ F.normalize(targets, dim=1).T
    own = similarity.diagonal().unsqueeze(1)
    return ((similarity >= own).sum(dim=1) == 1).float().mean().item()


def parameter_groups(model: AlignmentModel, loss: AlignmentLoss, run: RunConfig) -> list[dict[str, Any]]:
    """AdamW's groups: backbone, the rest (``head``), and the loss's temperature where it is learned.

    Backbone and head come with weight decay (matrices) and without (vectors); the temperature has none.
    """
    rates = {
        "backbone": run.training.backbone_learning_rate,
        "head": run.training.learning_rate,
        "temperature": run.training.learning_rate,
    }
    groups: dict[tuple[str, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in (*model.named_parameters(), *loss.named_parameters()):
        if parameter.requires_grad:
            groups[_group(name), parameter.ndim > 1].append(parameter)
    return [
        {
            "params": parameters,
            "lr": rates[name],
            "weight_decay": run.training.weight_decay if is_matrix else 0.0,
            "name": name,
        }
        for (name, is_matrix), parameters in groups.items()
    ]


def _group(name: str) -> str:
    if name == "log_temperature":
        return "temperature"
    return "backbone" if name.startswith("backbone.") else "head"


def rate_factor(step: int, n_steps: int) -> float:
    """Share of the full learning rate: linear warm-up times (1 + cos(pi step / n_steps)) / 2."""
    warmup = min(1.0, (step + 1) / math.ceil(WARMUP_SHARE * n_steps))
    return warmup * (1 + math.cos(math.pi * step / n_steps)) / 2


class AlignmentTask(L.LightningModule):
    """Training of an AlignmentModel.

    Attributes
    ----------
    history : a dict an epoch: mean training losses, validation losses, val_top1 and the learning rates.
    best_weights, best_epoch : state dict on the CPU and number (from 1) of the epoch with the lowest
        validation loss.
    """

    def __init__(self, model: AlignmentModel, *, run: RunConfig):
        super().__init__()
        self.model, self.run, self.loss = model, run, AlignmentLoss(run.loss)
        self.history: list[dict[str, float]] = []
        self.best_loss, self.best_epoch, self.best_weights = float("inf"), 0, {}
        self._sums: dict[str, float] = defaultdict(float)
        self._n_rows = 0
        self._validation: list[tuple[Tensor, ...]] = []

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW; the rates rise over the first steps, then follow a cosine to zero, step by step."""
        # fused: one pass over weights and moments instead of one for each operation of AdamW
        optimizer = torch.optim.AdamW(parameter_groups(self.model, self.loss, self.run), fused=True)
        n_steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, n_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Loss of one batch."""
        targets = self.model.standardise(batch["target"])
        keep = torch.rand(len(targets), 1, device=self.device) >= MEAN_QUERY_SHARE
        predictions = self.model(batch["eeg"], query=targets * keep)
        terms = self.loss(predictions, targets, batch["pair"], batch["cluster"])
        self._check_finite(terms["loss"])
        n_rows = len(targets)
        self._n_rows += n_rows
        for name, term in terms.items():
            self._sums[name] += term.item() * n_rows
        self.log_dict({f"train/{name}": term.detach() for name, term in terms.items()})
        self.log_dict(self._learning_rates())
        return terms["loss"]

    def validation_step(self, batch: tuple[Tensor, ...], _: int) -> None:
        """Predict one batch of pictures from EEG alone."""
        eeg, targets, pairs, clusters = batch
        self._validation.append((self.model(eeg), self.model.standardise(targets), pairs, clusters))

    def on_validation_epoch_end(self) -> None:
        """Losses over all validation pictures at once, so that no batch weighs more than its rows."""
        predictions, targets, pairs, clusters = (
            torch.cat(parts) for parts in zip(*self._validation, strict=True)
        )
        self._validation.clear()
        terms = self.loss(predictions, targets, pairs, clusters)
        self._check_finite(terms["loss"])
        scores = {name: term.item() for name, term in terms.items()} | {"top1": top1(predictions, targets)}
        self.log_dict({f"val/{name}": score for name, score in scores.items()})
        self._close_epoch(scores)

    def _close_epoch(self, scores: dict[str, float]) -> None:
        epoch = self.current_epoch + 1
        if scores["loss"] < self.best_loss:
            self.best_loss, self.best_epoch = scores["loss"], epoch
            self.best_weights = {
                name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()
            }
        means = {name: total / self._n_rows for name, total in self._sums.items()}
        self._sums.clear()
        self._n_rows = 0
        self.history.append(
            {
                "epoch": epoch,
                **{f"train_{name}": value for name, value in means.items()},
                **{f"val_{name}": value for name, value in scores.items()},
                **self._learning_rates(),
            }
        )
        logger.info(
            "epoch %d of %d: train loss %.3f, val loss %.3f, val top-1 %.3f",
            *(epoch, self.run.training.epochs, means["loss"], scores["loss"], scores["top1"]),
        )

    def _learning_rates(self) -> dict[str, float]:
        return {f"lr_{group['name']}": group["lr"] for group in self.optimizers().param_groups}

    def _check_finite(self, loss: Tensor) -> None:
        if not loss.isfinite():
            raise InputError(
                f"training: expected a finite loss, got {loss.item()} in epoch {self.current_epoch + 1}; "
                "lower training.learning_rate and training.backbone_learning_rate, and check the EEG for NaN"
            )
