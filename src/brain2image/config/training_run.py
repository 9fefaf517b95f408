"""The blocks of the configuration that make a training run: model, loss, training."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from brain2image.config.types import Count, Electrodes, NonNegative, People, Positive, Section, Seed
from brain2image.constants.pooling_names import ENCODERLESS
from brain2image.constants.temperatures import TEMPERATURES
from brain2image.core.encoder_names import check_encoder, encoder_declaration
from brain2image.core.errors import InputError

# Options that some encoders do not have.
ENCODER_OPTIONS = ("n_layers", "pretrained", "layer_decay")
# What a pooling head leaves aside of the `model` block; its runs neither know nor depend on these.
UNUSED_OPTIONS = {
    ENCODERLESS: {"channels", "pretrained", "n_layers", "n_tokens", "pooling_layers", "n_heads", "alignment"},
    "flatten": {"n_tokens", "pooling_layers", "alignment"},
    "attention": {"pooling_layers", "alignment"},
    "multitoken_vit": set(),
}
SEVERAL_OPTIONS = (("model", "person_layer"), ("training", "negatives"))  # of runs of several people
N_LAYERS = 12  # of the published CBraMod


def unused_options(model: Mapping[str, Any]) -> dict[str, str]:
    """Return what the choices of a `model` block leave unused, with the choice that has no such option.

    Wrong choices, which are reported elsewhere, leave nothing unused.
    """
    pooling, encoder = model.get("pooling"), model.get("encoder")
    heads = dict.fromkeys(UNUSED_OPTIONS.get(str(pooling), ()), f"pooling {pooling!r}")
    return heads | dict.fromkeys(missing_options(encoder), f"encoder {encoder!r}")


def missing_options(encoder: Any) -> set[str]:
    """Return what of `ENCODER_OPTIONS` an encoder lacks; nothing where there is no such encoder."""
    try:
        return set(ENCODER_OPTIONS) - set(encoder_declaration(str(encoder)).options)
    except InputError:
        return set()


class ModelConfig(Section):
    """The network: an EEG encoder, a pooling head, and the attention alignment."""

    encoder: Annotated[str, AfterValidator(check_encoder)] = Field(
        "cbramod", description="EEG encoder, built in, braindecode's or a package's (docs/encoders.md)."
    )
    pooling: Literal["flatten", "attention", "multitoken_vit", "none"] = Field(
        "multitoken_vit",
        description="Pooling head; none: no encoder and no head, the linear path and its correction alone.",
    )
    channels: Electrodes = Field(
        "all",
        description="Electrodes that the encoder hears, and it alone: all, posterior (UBP's 17), or names.",
    )
    pretrained: bool = Field(
        True, description="Start from the encoder's published weights; false: random weights."
    )
    n_layers: Annotated[int, Field(ge=1, le=N_LAYERS)] = Field(
        N_LAYERS, description="Layers of the encoder, CBraMod's 12 as published; fewer keep the first ones."
    )
    hidden_size: Count = Field(1024, description="Width of the heads' multilayer perceptron.")
    n_tokens: Count = Field(8, description="Learned tokens (multitoken_vit) or queries (attention).")
    pooling_layers: Count = Field(2, description="Transformer layers of multitoken_vit.")
    n_heads: Count = Field(8, description="Attention heads of the pooling head and of the alignment.")
    alignment: Literal["single_token", "multi_token"] = Field(
        "single_token",
        description="Keys of the alignment: the pooled EEG embedding, or multitoken_vit's tokens.",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="Dropout of the heads and of the alignment."
    )
    linear_axes: Annotated[int, Field(ge=0)] = Field(
        64,
        description="Principal axes of the fMRI embedding that a ridge regression predicts from the EEG; the "
        "network starts from its prediction and learns what it lacks. 0: no such path.",
    )
    person_layer: Literal["none", "scale", "spatial"] = Field(
        "spatial",
        description="Of a run that learns from several people: each has a gain for every channel (scale), or "
        "mixes the channels in a way of its own (spatial), before all go through the same network.",
    )
    linear_window: NonNegative = Field(
        0.02,
        description="The linear path and the linear baselines see means of the EEG over so many s; 0: every "
        "sample.",
    )

    @model_validator(mode="before")
    @classmethod
    def _unpretrained(cls, values: Any) -> Any:
        """Say of an encoder without published weights that it is not pretrained."""
        if isinstance(values, dict) and "pretrained" in missing_options(values.get("encoder")):
            return {"pretrained": False} | values
        return values

    @model_validator(mode="after")
    def _fits(self) -> "ModelConfig":
        encoder = encoder_declaration(self.encoder)
        if self.pooling == ENCODERLESS:
            if not self.linear_axes:
                raise ValueError(
                    "pooling 'none' leaves the linear path alone, so linear_axes must be above 0"
                )
            return self
        if self.pooling != "flatten" and encoder.fixed_width and encoder.fixed_width % self.n_heads:
            raise ValueError(
                f"n_heads must divide {encoder.fixed_width}, the width of {self.encoder}'s tokens, got "
                f"{self.n_heads}"
            )
        if "n_layers" in missing_options(self.encoder) and self.n_layers != N_LAYERS:
            raise ValueError(f"n_layers: encoder {self.encoder!r} has no such option; leave it out")
        if self.alignment == "multi_token" and self.pooling != "multitoken_vit":
            raise ValueError(f"alignment 'multi_token' needs pooling 'multitoken_vit', got {self.pooling!r}")
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        unused = unused_options(dict(self))
        return {name: value for name, value in serialise(self).items() if name not in unused}


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
    targets: Literal["measured", "predicted", "both"] = Field(
        "predicted",
        description="Embeddings that are learned from: those measured of the pairs' fMRI pictures, those "
        "that the picture encoder predicts of the EEG's own pictures, or both.",
    )
    pictures: Literal["paired", "all"] = Field(
        "all",
        description="EEG pictures that are learned from: those of the pairs, or all whose concept is in no "
        "val or test pair; all need predicted targets.",
    )
    measured_weight: Positive = Field(
        1.0, description="Weight of measured targets beside predicted ones (targets: both)."
    )
    similarity_weight: NonNegative = Field(
        0.0,
        description="A measured pair counts by this power of its pictures' similarity; 0: all alike.",
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


class RunConfig(Section):
    """One training run: whose EEG it learns from, and its `model`, `loss` and `training` blocks.

    ``people`` is ``own``, the person that is tested; ``others``, all listed people with the same fMRI but
    that one; ``all`` of them; or a list of people.
    """

    people: People = "own"
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def has_several(self) -> bool:
        """Tell whether it may learn from several people."""
        return self.people != "own"

    @model_serializer(mode="wrap")
    def _without_people(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what a run of one person neither has nor depends on."""
        content = serialise(self)
        if not self.has_several:
            for block, option in SEVERAL_OPTIONS:
                content.get(block, {}).pop(option, None)
        return content

    @model_validator(mode="after")
    def _fits(self) -> "RunConfig":
        if (
            self.model.pooling != ENCODERLESS
            and self.training.layer_decay != 1
            and "layer_decay" in missing_options(self.model.encoder)
        ):
            raise ValueError(
                f"training.layer_decay: encoder {self.model.encoder!r} has no such option, all of it "
                f"learns at one rate; expected 1, got {self.training.layer_decay:g}"
            )
        return self
