"""The blocks of the configuration that make a training run: model, loss, training."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from brain2image.config.optimisation import LossConfig, TrainingConfig
from brain2image.config.types import Count, Electrodes, NonNegative, People, Section
from brain2image.constants.pooling_names import ENCODERLESS
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
# Of runs of several people.
SEVERAL_OPTIONS = (
    *(("model", "person_layer"), ("training", "negatives")),
    ("training", "missing_channels"),
)
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
