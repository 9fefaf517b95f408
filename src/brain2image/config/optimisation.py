"""The blocks of the configuration on how a run learns: its loss and its optimisation."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from brain2image.config.types import Count, NonNegative, Positive, Section, Seed
from brain2image.constants.temperatures import TEMPERATURES


class LossConfig(Section):
    """The three loss terms on standardised targets; a scale of 0 switches a term off."""

    mse: NonNegative = Field(1.0, description="Scale of the mean squared error.")
    info_nce: NonNegative = Field(1.0, description="Scale of InfoNCE.")
    prototype: NonNegative = Field(0.5, description="Scale of the prototypical distillation.")
    temperature: Positive = Field(
        0.2, description="Temperature of InfoNCE and of the prototype similarities."
    )
    symmetric: bool = Field(
        True, description="InfoNCE also from fMRI to EEG; false: only from EEG to fMRI, as it is retrieved."
    )
    learnable_temperature: bool = Field(
        False,
        description=f"Learn InfoNCE's temperature, from `temperature` on, within {TEMPERATURES[0]:g} to "
        f"{TEMPERATURES[1]:g}; the prototypes keep `temperature`.",
    )
    duplicate_cosine: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="Pictures whose targets have this cosine or more are no negatives of one another in "
        "InfoNCE, as predicted targets of different pictures may nearly be equal. 0: all are.",
    )
    target_scale: Literal["common", "per_feature"] = Field(
        "common",
        description="Unit of the standardised targets: one standard deviation for all features, or each its "
        "own; `common` keeps the angles between embeddings, by which retrieval is scored.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "LossConfig":
        if self.mse == self.info_nce == self.prototype == 0:
            raise ValueError("at least one of mse, info_nce and prototype must be above 0")
        low, high = TEMPERATURES
        if self.learnable_temperature and not (self.info_nce and low <= self.temperature <= high):
            raise ValueError(
                f"learnable_temperature needs info_nce above 0 and a temperature from {low:g} to {high:g}, "
                f"got {self.info_nce:g} and {self.temperature:g}"
            )
        return self


class TrainingConfig(Section):
    """Optimisation."""

    epochs: Count = Field(
        30, description="Passes over the training trials; a thousand steps each at full size."
    )
    batch_size: Annotated[int, Field(ge=2)] = Field(
        64, description="EEG trials a batch, on all GPUs of a run together."
    )
    targets: Literal["measured", "predicted", "both", "clip"] = Field(
        "predicted",
        description="Embeddings that are learned from: those measured of the pairs' fMRI pictures, those "
        "that the picture encoder predicts of the EEG's own pictures, or both. Of a single run also clip: no "
        "fMRI, but the CLIP features of the pictures, as papers on EEG and pictures have it; its scores are "
        "rows of level field.",
    )
    pictures: Literal["paired", "all"] = Field(
        "all",
        description="EEG pictures that are learned from: those of the pairs, or all whose concept is in no "
        "val or test pair; all need predicted targets.",
    )
    measured_weight: Positive = Field(
        1.0,
        description="Weight of measured targets beside predicted ones (targets: both), in networks and their "
        "linear paths; baselines weigh all alike.",
    )
    similarity_weight: NonNegative = Field(
        0.0,
        description="A measured pair counts by this power of its pictures' similarity, where measured_weight "
        "counts; 0: all alike.",
    )
    average_trials: Count = Field(
        4, description="Mean of up to this many random trials of the same picture makes one training example."
    )
    fmri: Literal["mean", "sample", "cross"] = Field(
        "mean",
        description="Target: mean of the picture's fMRI repetitions, or a random one each time (sample); "
        "cross: every EEG trial with every repetition once an epoch.",
    )
    memory_limit_gb: NonNegative = Field(
        4.0,
        description="A training split up to this size, GB, is held in memory (on a GPU, in the GPU's); "
        "a larger one is read batch by batch. Changes no result.",
    )
    save_minutes: Positive = Field(
        5.0,
        description="A training saves its state at most this often, minutes, also in the middle of an epoch, "
        "and when it ends or is told to stop; a kill loses at most so much. Changes no result.",
    )
    learning_rate: Positive = Field(
        2e-4,
        description="Highest AdamW learning rate of head and alignment; 5e-4 is unstable at 4096 features.",
    )
    backbone_learning_rate: Positive = Field(5e-5, description="Highest AdamW learning rate of the encoder.")
    weight_decay: NonNegative = Field(
        0.05, description="AdamW weight decay of matrices; biases and norms have none."
    )
    gradient_clip: Positive = Field(1.0, description="Largest gradient norm.")
    freeze_encoder: bool = Field(
        False, description="The encoder learns nothing: a probe of its published or random weights."
    )
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="Each layer of the encoder learns this much slower than the next one; 1: all as fast.",
    )
    negatives: Literal["all", "person"] = Field(
        "all",
        description="Of a run that learns from several people: InfoNCE's negatives are the whole batch, or "
        "the rows of the same person.",
    )
    missing_channels: Literal["leave_out", "interpolate"] = Field(
        "leave_out",
        description="Of a run that learns from, or is tested on, people with other caps: learn with the "
        "channels that all have, or interpolate those that somebody lacks, in the EEG as it is stored: after "
        "eeg.whiten.",
    )
    accumulate_batches: Count = Field(
        1, description="Batches whose gradients are added up before a step; negatives stay within a batch."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="Number format of the model's products; auto: bf16 on a GPU that has it, else fp32, "
        "which recent GPUs compute as TF32. fp16 needs a GPU and waits for it in every step.",
    )
    compile: bool = Field(
        False, description="torch.compile: faster steps after a minute's wait; worth it on a GPU."
    )
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="Keep a moving average of the weights with this decay a step, and evaluate and save it; "
        "0: none.",
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        0, description="Stop after so many epochs without a lower validation loss; 0: never."
    )
    seed: Seed = Field(0, description="Seed of the weights, the batches and the dropout.")

    @model_validator(mode="after")
    def _fits(self) -> "TrainingConfig":
        if self.targets == "measured" and self.pictures == "all":
            raise ValueError(
                "pictures 'all' needs targets 'predicted' or 'both', as most pictures have no measured one; "
                "got targets 'measured'"
            )
        return self
