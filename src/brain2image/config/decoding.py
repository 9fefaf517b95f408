"""The block of the configuration on the way from embeddings to pictures."""

from typing import Annotated, Literal

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
    pictures: bool = Field(
        False, description="Draw pictures from the tokens by a linear decoder, beside what chance draws."
    )
    model: PlainText = Field(
        "ViT-bigG-14",
        description="open_clip architecture whose tokens the backbone gives; MindEye2: ViT-bigG-14.",
    )
    preprocess: Preprocess = Field("auto", description="How its pictures are prepared, as clip.preprocess.")
    dtype: Literal["float16", "bfloat16", "float32"] = Field(
        "float16",
        description="Number format in which the backbone's weights are kept; it computes in float32.",
    )
    n_fitted: Annotated[int, Field(ge=10)] = Field(
        1000,
        description="Scanned pictures, of no validation or test pair, on which the linear ways to tokens and "
        "to pixels are fitted; 0.85 MB of tokens each.",
    )
    seed: Seed = Field(0, description="Seed by which these are drawn.")

    @model_validator(mode="after")
    def _pictures_need_tokens(self) -> "DecodingConfig":
        if self.pictures and not self.tokens:
            raise ValueError("pictures are drawn from tokens: set tokens to true, or pictures to false")
        return self
