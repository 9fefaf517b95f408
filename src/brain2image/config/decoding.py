"""The block of the configuration on the way from embeddings to pictures."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from brain2image.config.data import Preprocess
from brain2image.config.types import PlainText, Section, Seed


class DecodingConfig(Section):
    """From embeddings to CLIP tokens by MindEye2's backbone, and to drawn pictures."""

    tokens: bool = Field(
        False,
        description="Decode the test pairs to CLIP tokens and retrieve pictures by these. Needs the backbone "
        "of the MindEye2 checkpoint (7.6 GB of it are read) and weights.token_clip (10.2 GB).",
    )
    prior: bool = Field(
        False,
        description="Sample tokens of pictures by the diffusion prior of the same checkpoint (1.0 GB of it "
        "are read), 0.2 s a picture on a GPU; the unCLIP then draws from these.",
    )
    pictures: Literal["none", "linear", "unclip"] = Field(
        "none",
        description="Draw pictures from the tokens, beside what chance draws: linear, by a ridge; unclip, by "
        "that and by MindEye2's unCLIP (weights.unclip), which wants a GPU and brain2image[pictures].",
    )
    model: PlainText = Field(
        "ViT-bigG-14",
        description="open_clip architecture whose tokens the backbone gives; MindEye2: ViT-bigG-14.",
    )
    preprocess: Preprocess = Field("auto", description="How its pictures are prepared, as clip.preprocess.")
    dtype: Literal["float16", "bfloat16", "float32"] = Field(
        "float16",
        description="Number format in which weights of backbone, prior and unCLIP are kept; the first two "
        "compute in float32, the unCLIP in float16 on a GPU.",
    )
    n_fitted: Annotated[int, Field(ge=10)] = Field(
        1000,
        description="Scanned pictures, of no validation or test pair, on which the linear ways to tokens and "
        "to pixels are fitted; 0.85 MB of tokens each.",
    )
    prior_steps: Annotated[int, Field(ge=2, le=100)] = Field(
        20, description="Steps of the prior, of 100; MindEye2's pictures have 20."
    )
    steps: Annotated[int, Field(ge=1, le=1000)] = Field(
        38, description="Steps of the unCLIP, of 1,000; MindEye2's pictures have 38."
    )
    n_samples: Annotated[int, Field(ge=1, le=100)] = Field(
        1,
        description="Pictures that the unCLIP draws of each tested one: the first is shown, scores are means "
        "over all.",
    )
    n_compared: Annotated[int, Field(ge=0)] = Field(
        0,
        description="Test pictures that the metrics of drawn pictures take, drawn by the seed; 0: all, which "
        "take a CPU a quarter of a second each and run.",
    )
    seed: Seed = Field(
        0, description="Seed of the draws of fitted and of compared pictures, and of all noise."
    )

    @model_validator(mode="before")
    @classmethod
    def _say_what_replaced_yes_and_no(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("pictures"), bool):
            now = "linear" if given["pictures"] else "none"
            raise ValueError(f"pictures names a way of drawing now: write {now} for {given['pictures']}")
        return given

    @model_validator(mode="after")
    def _pictures_need_tokens(self) -> "DecodingConfig":
        if self.pictures != "none" and not self.tokens:
            raise ValueError("pictures are drawn from tokens: set tokens to true, or pictures to none")
        if self.prior and not self.tokens:
            raise ValueError(
                "the prior starts from what the backbone gives: set tokens to true, or prior to false"
            )
        return self

    @property
    def ways(self) -> list[str]:
        """List the ways in which pictures are drawn: the unCLIP's never without the ridge's."""
        return {"none": [], "linear": ["linear"], "unclip": ["linear", "unclip"]}[self.pictures]
