"""The whole model: an EEG encoder, a pooling head, and the attention that aligns EEG with fMRI."""

import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from brain2image.config import ModelConfig
from brain2image.config.messages import block_reason
from brain2image.constants.electrodes import ALL
from brain2image.constants.pooling_names import ENCODERLESS
from brain2image.core.errors import InputError
from brain2image.core.regular import check_regular
from brain2image.datasets.channel_names import find_channels
from brain2image.formats.files import read_json
from brain2image.models.attention import AlignmentModule
from brain2image.models.encoders.base import EEGLayout, Encoder, build_encoder
from brain2image.models.linear_path import LinearPath
from brain2image.models.person_layer import (
    NOBODY,
    PersonLayer,
    find_lag,
    layered_people,
    move_earlier,
)
from brain2image.models.pooling import POOLING_HEADS
from brain2image.models.regression import AxisRidge
from brain2image.models.target_scales import fit_scales
from brain2image.weights.sources import check_finite

PREDICT_BATCH = 256  # trials of one forward pass; bounds the memory of predict


class AlignmentModel(nn.Module):
    """EEG to fMRI embeddings.

    Inside, embeddings are standardised, (embedding - target_mean) / target_scale, so that every loss term is
    of order one from the first step. The mean training embedding, which is zero there, is the query wherever
    no other one is given.

    Parameters
    ----------
    model : the configuration block.
    layout : channels, samples and rate of the EEG.
    n_features : width of the fMRI embedding.
    people : names of those whose EEG it knows, of a run of several; each has a layer of its own.
    is_calibrated : whether it was fitted to one person after its training.

    Attributes
    ----------
    person_layer : what is each person's own; None of a run of one person.
    encoder : of the EEG; None where the model is its linear path alone.
    heard : (n_channels of the encoder,) int64, the rows of the EEG that the encoder hears.
    eeg_scale : () float32, factor from the EEG's stored unit to the range that the encoder was trained with.
    network_share : () float32, weight of the network beside the linear path; 1 while they learn.
    target_mean : (n_features,) float32, mean training embedding, in embedding units.
    target_scale : (n_features,) float32, standard deviation over the training pairs, in embedding units.
    mean_response : (n_channels, n_times) float32, mean EEG of the training trials, in its stored unit, to
        compare the latency of other recordings with; zeros where it is not known.
    """

    heard: Tensor
    eeg_scale: Tensor
    network_share: Tensor
    target_mean: Tensor
    target_scale: Tensor
    mean_response: Tensor

    def __init__(
        self,
        model: ModelConfig,
        layout: EEGLayout,
        n_features: int,
        people: Sequence[str] = (),
        *,
        is_calibrated: bool = False,
    ):
        super().__init__()
        self.config, self.layout, self.people = model, layout, tuple(people)
        layer = partial(PersonLayer, model.person_layer, layout, n_people=len(people), rotates=is_calibrated)
        self.person_layer = layer() if people else None
        self.encoder: Encoder | None = None
        if model.pooling != ENCODERLESS:
            n_tokens = model.n_tokens if model.alignment == "multi_token" else 1
            rows = find_channels(model.channels, layout.channels)
            self.encoder = build_encoder(model, layout.select(rows))
            # no part of the weights, as it follows from the config
            self.register_buffer("heard", torch.tensor(rows), persistent=False)
            self.head = POOLING_HEADS[model.pooling](
                model,
                n_inputs=self.encoder.n_tokens,
                token_width=self.encoder.token_width,
                n_features=n_features,
            )
            self.alignment = AlignmentModule(
                n_features, n_heads=model.n_heads, n_tokens=n_tokens, dropout=model.dropout
            )
        n_inputs = layout.n_channels * layout.n_times
        self.linear_path = (
            LinearPath(model, n_inputs, n_features, n_people=len(people)) if model.linear_axes else None
        )
        self.register_buffer("network_share", torch.tensor(float(self.encoder is not None)))
        self.register_buffer("eeg_scale", torch.tensor(1.0))
        self.register_buffer("target_mean", torch.zeros(n_features))
        self.register_buffer("target_scale", torch.ones(n_features))
        self.register_buffer("mean_response", torch.zeros(layout.n_channels, layout.n_times))

    def fit_targets(self, targets: np.ndarray, *, scale: str) -> None:
        """Learn mean and scale of the training embeddings, see `target_scales.fit_scales`."""
        mean, scales = fit_scales(targets, scale=scale)
        self.target_mean.copy_(torch.from_numpy(mean))
        self.target_scale.copy_(torch.from_numpy(scales))

    def standardise(self, embeddings: Tensor) -> Tensor:
        """Bring embeddings (..., n_features) from their own units into the model's space."""
        return (embeddings - self.target_mean) / self.target_scale

    def fit_linear_path(self, regression: AxisRidge) -> None:
        """Start from a regression of the standardised training embeddings on the EEG."""
        assert self.linear_path is not None  # as model.linear_axes is not 0
        self.linear_path.fit(regression)
        if self.encoder is not None:
            nn.init.zeros_(self.alignment.output.weight)

    def path(self, eeg: Tensor, person: Tensor | None = None, layered: Tensor | None = None) -> Tensor:
        """Return what the linear path alone makes of EEG, (n_trials, n_features), see `forward`."""
        assert self.linear_path is not None  # as the caller has looked
        return self.linear_path(self._centred(eeg, person), layered_people(person, layered))

    def _centred(self, eeg: Tensor, person: Tensor | None) -> Tensor:
        return eeg if self.person_layer is None else self.person_layer.centre(eeg, person)

    def forward(
        self,
        eeg: Tensor,
        query: Tensor | None = None,
        path: Tensor | None = None,
        person: Tensor | None = None,
        layered: Tensor | None = None,
    ) -> Tensor:
        """Encode EEG.

        Parameters
        ----------
        eeg : (n_trials, n_channels, n_times) float32 in its stored unit.
        query : (n_trials, n_features) float32 standardised fMRI embeddings; None for the mean training
            embedding. Without effect where the alignment has a single token.
        path : (n_trials, n_features) float32, what to take for the linear path's output, as training does;
            None for that of ``eeg`` itself.
        person : (n_trials,) int64, whose EEG each row is, of ``people``; `person_layer.NOBODY` of somebody
            else's, and None where all are.
        layered : (n_trials,) bool, rows that go through their person's layer, beyond that person's mean being
            subtracted; None: all of them.

        Returns
        -------
        (n_trials, n_features) float32, standardised.
        """
        eeg, person = self._centred(eeg, person), layered_people(person, layered)
        if self.linear_path is not None and path is None:
            path = self.linear_path(eeg, person)
        if self.encoder is None:
            assert path is not None  # as the config has no run without both
            return path
        if query is None:
            query = torch.zeros_like(self.target_mean).expand(len(eeg), -1)
        eeg = eeg * self.eeg_scale
        if self.person_layer is not None:
            eeg = self.person_layer(eeg, person)
        if self.config.channels != ALL:
            eeg = eeg.index_select(1, self.heard)
        tokens = self.head(self.encoder(eeg))
        tokens = tokens if tokens.ndim == 3 else tokens.unsqueeze(1)
        embedding = self.alignment(query.unsqueeze(1), tokens).squeeze(1)
        return embedding if path is None else self.network_share * embedding + path

    @torch.no_grad()
    def query_effect(self, eeg: Tensor, targets: Tensor, person: Tensor | None = None) -> float:
        """Measure how far the training-time output moves with the query: rms(own - mean) / rms(mean).

        ``own`` is the output with each trial's own embedding as query, as training may see it, ``mean`` that
        with the mean training embedding, which is all that predictions ever use. 0 with a single token.

        Parameters
        ----------
        eeg : (n_trials, n_channels, n_times) float32 in its stored unit.
        targets : (n_trials, n_features) float32, in embedding units.
        person : (n_trials,) int64, see `forward`.
        """
        was_training = self.training
        self.eval()
        device = self.target_mean.device
        sums = torch.zeros(2, dtype=torch.float64, device=device)  # read back once, not for every batch
        for rows in torch.arange(len(eeg)).split(PREDICT_BATCH):
            batch, query = eeg[rows].to(device), self.standardise(targets[rows].to(device))
            whose = None if person is None else person[rows].to(device)
            mean = self(batch, person=whose)
            queried = self(batch, query=query, person=whose)
            sums += torch.stack([(queried - mean).square().sum(), mean.square().sum()])
        self.train(was_training)
        moved, total = sums.tolist()
        return math.sqrt(moved / total)

    def lag_of(self, response: np.ndarray) -> int:
        """Return by how many samples a mean response (n_channels, n_times) is later than the training's."""
        layer = self.person_layer
        expected = self.mean_response if layer is None else layer.response.mean(0)
        return find_lag(response, expected.cpu().numpy(), sfreq=self.layout.sfreq)

    @torch.no_grad()
    def predict(
        self, eeg: Tensor | np.ndarray, person: str | None = None, response: np.ndarray | None = None
    ) -> Tensor:
        """Predict fMRI embeddings from EEG alone, without dropout.

        Parameters
        ----------
        eeg : (n_trials, n_channels, n_times) float32, rate and unit (microvolts) as the training EEG's.
        person : whose EEG it is, of a run of several people; None of somebody whom it does not know.
        response : (n_channels, n_times) float32, the mean EEG over trials of somebody whom it does not know,
            which needs no labels: it is subtracted, and the EEG moved in time by as much as it is late; None
            for the mean over the people whom it knows.

        Returns
        -------
        (n_trials, n_features) float32 on the CPU, in the units of the training embeddings.

        Raises
        ------
        InputError
            When the shape is another one or values are not finite.
        """
        eeg = torch.as_tensor(eeg, dtype=torch.float32)
        if eeg.ndim != 3 or tuple(eeg.shape[1:]) != tuple(self.mean_response.shape):
            expected = f"(n_trials, {self.layout.n_channels}, {self.layout.n_times})"
            raise InputError(f"predict: expected EEG of shape {expected}, got {tuple(eeg.shape)}")
        if not eeg.isfinite().all():
            raise InputError("predict: expected finite EEG, got NaN or infinity; leave broken trials out")
        if person is not None and person not in self.people:
            known = ", ".join(self.people) or "nobody, as it learned from one person"
            raise InputError(f"predict: expected a person of this run ({known}), got {person!r}")
        if response is not None and self.person_layer is not None:
            own = move_earlier(eeg.numpy() - np.asarray(response, np.float32), self.lag_of(response))
            eeg = torch.from_numpy(own) + self.person_layer.response.mean(0).cpu()
        number = NOBODY if person is None else self.people.index(person)
        was_training = self.training
        self.eval()
        device = self.target_mean.device
        batches = [
            self(batch.to(device), person=torch.full((len(batch),), number, device=device))
            for batch in eeg.split(PREDICT_BATCH)
        ]
        self.train(was_training)
        return (torch.cat(batches) * self.target_scale + self.target_mean).cpu()

    @classmethod
    def load(cls, run_folder: str | os.PathLike) -> "AlignmentModel":
        """Read a trained model from its run folder's ``config.json`` and ``model.safetensors``.

        Raises
        ------
        InputError
            When a file is missing or damaged, or the two do not belong together, or a weight is NaN.
        """
        folder = Path(run_folder)
        try:
            config = read_json(folder / "config.json")
            check_regular(folder / "model.safetensors", remedy="train it again")
            eeg = config["eeg"]
            layout = EEGLayout(tuple(eeg["channels"]), eeg["n_times"], eeg["sfreq"])
            people = config.get("people_known", ())
            model = cls(
                ModelConfig(**config["model"]),
                layout,
                config["n_features"],
                people,
                is_calibrated="calibration" in config,
            )
            weights = load_file(folder / "model.safetensors")
            for name in ("mean_response", "linear_path.pattern"):  # older runs have none
                if name in model.state_dict():
                    weights.setdefault(name, model.state_dict()[name])
            model.load_state_dict(weights)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            reason = block_reason(error)
            raise InputError(
                f"{folder}: expected a trained run with config.json and model.safetensors, but {reason}; "
                "train it again"
            ) from None
        check_finite(model.state_dict(), source=folder / "model.safetensors", remedy="train it again")
        return model.eval()
