"""What happens in one training step and in one validation: losses, learning rates, the best weights."""

import copy
import logging
import math
from collections.abc import Iterator
from typing import Any, cast

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from brain2image.config import RunConfig
from brain2image.core.errors import InputError
from brain2image.core.jobs import log_into
from brain2image.formats.precision import allow_tf32, resolve_precision
from brain2image.models.alignment import AlignmentModel
from brain2image.models.losses import AlignmentLoss, gathered
from brain2image.training.board import log_epoch
from brain2image.training.board_pictures import BoardPictures
from brain2image.training.judging import is_finished, top1
from brain2image.training.learning_rates import current_rates, parameter_groups, rate_factor
from brain2image.training_set.batches import Batches

logger = logging.getLogger(__name__)

# Share of training rows whose query is the mean embedding, as it is whenever the model predicts; the other
# rows have their own fMRI embedding as query. It matters for `alignment: multi_token` alone.
MEAN_QUERY_SHARE = 0.5

# Share of training rows that go without their person's layer, as people do who are not learned from.
PERSON_DROPOUT = 0.2

# Weights of the network beside the linear path that are tried on validation; it begins to learn the training
# pairs by heart long before the path does.
SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)

STEPS = 2  # stream of random numbers, beside those of dataset.py


class AlignmentTask(L.LightningModule):
    """Training of an AlignmentModel.

    Every random number of a step follows from (seed, epoch, batch), so that a resumed run draws what one that
    was never stopped draws.

    Parameters
    ----------
    model : with the training pairs' scales in it.
    run : the run's blocks.
    batches : the training batches.
    identity : of `resume.run_identity`; it is stored with the state.
    pictures : of the validation pairs, for a sheet in TensorBoard of each epoch that is the best so far.

    Attributes
    ----------
    average : moving average of the model's weights; None when ``ema_decay`` is 0.
    history : a dict an epoch, the start as number 0: mean training losses, validation losses, val_top1, the
        share of the network with which it is lowest, and the learning rates.
    best_weights, best_epoch : state dict on the CPU and number of the epoch with the lowest validation loss,
        0 where no epoch was better than the start.
    """

    def __init__(
        self,
        model: AlignmentModel,
        *,
        run: RunConfig,
        batches: Batches,
        identity: dict[str, Any],
        pictures: BoardPictures | None = None,
    ):
        super().__init__()
        self._pictures = pictures
        self.model, self.run, self.batches, self.identity = model, run, batches, identity
        self.loss = AlignmentLoss(run.loss, batches.dataset.n_clusters)
        decay = run.training.ema_decay
        self.average = copy.deepcopy(model).requires_grad_(False) if decay else None
        self.history: list[dict[str, float]] = []
        self.best_loss, self.best_epoch = float("inf"), 0
        self.best_weights: dict[str, Tensor] = {}
        self._sums: dict[str, Tensor] = {}
        self._n_rows = self._n_stepped = self._n_saved = 0
        self._validation: list[tuple[Tensor, ...]] = []
        files = (handler for handler in logging.root.handlers if isinstance(handler, logging.FileHandler))
        self._log = next((file.baseFilename for file in files), None)

    def train_dataloader(self) -> Batches:
        """Return the training batches."""
        return self.batches

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Make AdamW; the rates rise over the first steps, then follow a cosine to zero, step by step."""
        groups = parameter_groups(self.model, self.loss, self.run)
        # fused: one pass over weights and moments instead of one for each operation; with fp16 the gradients
        # have to be unscaled before they are clipped, and a fused step would do it after that
        optimizer = torch.optim.AdamW(groups, fused=self.run.training.precision != "fp16")
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Prepare what a process does not inherit: TF32, the compiled model, and the log of the first one."""
        allow_tf32(resolve_precision(self.run.training.precision, self.device))
        # else `deterministic` fills every new tensor, a thousand kernels a step, lest one is read unset
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        if self.run.training.compile:
            self.model.compile()
        if self._log and self.global_rank == 0 and not logging.root.handlers:
            log_into(self._log, mode="a")

    def on_train_start(self) -> None:
        """Take the rates from the schedule, not from the state, for the number of epochs may have changed."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["initial_lr"] * self._rate_factor(self.global_step)

    def training_step(self, batch: dict[str, Tensor], number: int) -> Tensor:
        """Compute the loss of one batch."""
        stream = (self.run.training.seed, self.current_epoch, STEPS, number, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(stream).generate_state(1, np.uint64)[0]))
        targets = self.model.standardise(batch["target"])
        # standardised, the mean embedding is zero
        keep = torch.rand(len(targets), 1, device=self.device) >= MEAN_QUERY_SHARE
        layered = None
        if self.model.people:
            layered = torch.rand(len(targets), device=self.device) >= PERSON_DROPOUT
        path = self._path_of(batch, layered)
        fixed = path.detach() if path is not None and self.model.encoder else path
        predictions = self.model(batch["eeg"], targets * keep, fixed, batch["person"], layered)
        # InfoNCE contrasts the whole batch, however many GPUs share it
        truth = [gathered(rows) for rows in (targets, batch["image"], batch["cluster"], batch["weight"])]
        if self.run.has_several and self.run.training.negatives == "person":
            truth.append(gathered(batch["person"]))
        terms = self.loss(gathered(predictions.float()), *truth)
        loss = terms["loss"]
        if path is not None and self.model.encoder:  # it learns as if alone, and the network what it lacks
            loss = loss + self.loss(gathered(path.float()), *truth)["loss"]
        # nothing is read back from the device before the epoch ends, so that it never waits for Python
        self._n_rows += len(targets)
        for name, term in terms.items():
            self._sums[name] = self._sums.get(name, 0) + term.detach() * len(targets)
        return loss

    def _path_of(self, batch: dict[str, Tensor], layered: Tensor | None) -> Tensor | None:
        """Return what the linear path makes of rows that it was not fitted to, (n_trials, n_features)."""
        linear_path, coordinates = self.model.linear_path, batch.get("coordinates")
        if linear_path is None or coordinates is None:
            return None
        if layered is not None:
            shared, own = coordinates.chunk(2, dim=1)
            coordinates = shared + layered[:, None] * own
        return linear_path.decode(coordinates)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm over all gradients; Lightning itself refuses a fused optimiser with bf16."""
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        assert gradient_clip_val is not None  # the trainer was given one
        norm = nn.utils.clip_grad_norm_(weights, gradient_clip_val)
        # a step that fp16's scaler skips has no finite norm
        norm = torch.nan_to_num(norm.detach(), nan=0.0, posinf=0.0)
        n_rows = self._n_rows - self._n_stepped
        self._n_stepped = self._n_rows
        self._sums["gradient_norm"] = self._sums.get("gradient_norm", 0) + norm * n_rows

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Take one step, then average = decay * average + (1 - decay) * weights.

        The decay rises to ``ema_decay`` over the first steps, as the first weights are random.
        """
        super().optimizer_step(*arguments, **options)
        if self.average is not None:
            decay = min(self.run.training.ema_decay, (1 + self.global_step) / (10 + self.global_step))
            for average, weight in zip(self.average.parameters(), self.model.parameters(), strict=True):
                average.lerp_(weight.detach(), 1 - decay)
            if self.model.encoder and self.average.encoder:  # the statistics of a batch norm are no weights
                encoders = self.average.encoder.buffers(), self.model.encoder.buffers()
                for kept, statistic in zip(*encoders, strict=True):
                    kept.copy_(statistic)

    def validation_step(self, batch: tuple[Tensor, ...], _: int) -> None:
        """Predict one batch of pictures from EEG alone."""
        eeg, targets, images, clusters, people = batch
        model = self._judged
        # whoever is tested by a run of others is unknown to it
        layered = torch.zeros_like(people, dtype=torch.bool) if self.run.people == "others" else None
        predictions = model(eeg, person=people, layered=layered).float()
        path = (
            model.path(eeg, people, layered).float() if model.linear_path else torch.zeros_like(predictions)
        )
        self._validation.append((predictions, path, model.standardise(targets), images, clusters, people))

    def on_validation_epoch_end(self) -> None:
        """Score all validation pictures at once, so that no batch weighs more than its rows."""
        predictions, path, *truth = (torch.cat(parts) for parts in zip(*self._validation, strict=True))
        self._validation.clear()
        # validation chooses how much of the network is heard, as it chooses the epoch
        scores = min(self._mixtures(predictions, path, *truth), key=lambda mixture: mixture["loss"])
        heard = path + scores["share"] * (predictions - path)
        if self.trainer.sanity_checking:  # before the first step
            self._check_finite(scores["loss"])
            self._close_epoch(0, {}, scores, heard, truth[0])
            return
        means = {name: total.item() / self._n_rows for name, total in self._sums.items()}
        self._sums, self._n_rows, self._n_stepped = {}, 0, 0
        self._check_finite(means["loss"], scores["loss"])
        epoch = self.current_epoch + 1
        self._close_epoch(epoch, means, scores, heard, truth[0])
        self.log_dict({"train_loss": means["loss"], "val_loss": scores["loss"]}, prog_bar=True, logger=False)
        self.trainer.should_stop = is_finished(epoch, self.best_epoch, self.run.training)

    def _mixtures(
        self, predictions: Tensor, path: Tensor, targets: Tensor, *labels: Tensor
    ) -> Iterator[dict[str, float]]:
        """Score the linear path with each share of the network, or the whole: losses and top-1.

        Each person's pictures are a gallery of their own; the scores of several people are averaged.
        """
        *kinds, people = labels
        rows = [people == person for person in people.unique()]
        shares = SHARES if self.model.linear_path else (1.0,)
        for share in shares if self.model.encoder else (0.0,):
            mixed = path + share * (predictions - path)
            each = [self._scores(mixed[own], targets[own], *(kind[own] for kind in kinds)) for own in rows]
            means = {name: float(np.mean([scores[name] for scores in each])) for name in each[0]}
            yield means | {"share": share}

    def _scores(self, predictions: Tensor, targets: Tensor, *labels: Tensor) -> dict[str, float]:
        terms = {name: term.item() for name, term in self.loss(predictions, targets, *labels).items()}
        return terms | {"top1": top1(predictions, targets)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what Lightning does not know of."""
        checkpoint["training"] = {name: getattr(self, name) for name in STATE} | {
            "identity": self.identity,
            "epochs": self.run.training.epochs,
        }
        self._n_saved = int(self.history[-1]["epoch"])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on where the state was stored."""
        for name in STATE:
            setattr(self, name, checkpoint["training"][name])
        self._n_saved = int(self.history[-1]["epoch"])

    @property
    def _judged(self) -> AlignmentModel:
        return self.model if self.average is None else self.average

    def _close_epoch(
        self, epoch: int, means: dict[str, float], scores: dict[str, float], *embeddings: Tensor
    ) -> None:
        training, sheet = self.run.training, None
        if scores["loss"] < self.best_loss:
            self.best_loss, self.best_epoch = scores["loss"], epoch
            # copied: the weights go on changing, and the copy must not take memory of the GPU
            self.best_weights = {
                name: value.detach().cpu().clone() for name, value in self._judged.state_dict().items()
            } | {"network_share": torch.tensor(scores["share"])}
            if self._pictures and self.global_rank == 0:  # the others write no events
                sheet = self._pictures.draw(*embeddings)
        row = {
            **{f"train_{name}": value for name, value in means.items()},
            **{f"val_{name}": value for name, value in scores.items()},
            **current_rates(self.trainer.optimizers[0]),
        }
        self.history.append({"epoch": epoch, **row})
        # the only logger that `train.train` has
        log_epoch(cast(TensorBoardLogger, self.logger), epoch, row, self.run, sheet)
        trained = f"train loss {means['loss']:.3f}" if means else "before the first step"
        logger.info(
            "epoch %d of %d: %s, val loss %.3f, val top-1 %.3f",
            *(epoch, training.epochs, trained, scores["loss"], scores["top1"]),
        )

    def _rate_factor(self, step: int) -> float:
        training = self.run.training
        return rate_factor(step, training.epochs * math.ceil(len(self.batches) / training.accumulate_batches))

    def _check_finite(self, *losses: float) -> None:
        for loss in losses:
            if not math.isfinite(loss):
                n_done, kept = self.history[-1]["epoch"] if self.history else 0, self._n_saved
                raise InputError(
                    f"training: expected a finite loss, got {loss} in epoch {n_done + 1}; lower "
                    "training.learning_rate and training.backbone_learning_rate"
                    + (f", or set training.epochs to {kept} to keep the best saved one" if kept else "")
                )


# What the state holds besides Lightning's own.
STATE = ("history", "best_loss", "best_epoch", "best_weights", "_sums", "_n_rows", "_n_stepped")
