"""The block of the configuration on pretrained weights."""

from typing import Literal

from pydantic import Field, field_validator

from brain2image.config.types import Section, SourceText, SubjectSourceText
from brain2image.core.encoder_names import encoder_declaration
from brain2image.weights.sources import CBRAMOD, COMPARING, ENCODERS, MINDEYE2, UNCLIP

# Those of `evaluation.picture_networks.NETWORKS`, which imports PyTorch.
PictureNetwork = Literal["alexnet", "inception_v3", "efficientnet_b1", "swav"]


class WeightsConfig(Section):
    """Pretrained weights: each a local file, https://…, or hf://[datasets/]owner/repo[@revision]/path."""

    clip: SourceText = Field("openai", description="CLIP's weights: an open_clip tag or a checkpoint.")
    cbramod: SourceText = Field(
        CBRAMOD,
        description="CBraMod's published weights, 20 MB, or those of braindecode/cbramod-pretrained.",
    )
    encoders: dict[str, SourceText] = Field(
        {},
        description="Published weights of other encoders, by what model.encoder calls them, such as "
        "{braindecode:Labram: labram.safetensors}; of those that are not named, see docs/encoders.md.",
    )
    mindeye2: SubjectSourceText = Field(
        MINDEYE2,
        description="MindEye2 checkpoint of each NSD subject ({subj} stands for subj01 and so on), or one "
        "final_multisubject checkpoint; of a remote one only the ridge is downloaded, about 250 MB.",
    )

    token_clip: SourceText = Field(
        "laion2b_s39b_b160k",
        description="Weights of the CLIP whose tokens MindEye2's backbone gives (decoding.model): a tag of "
        "open_clip or a checkpoint.",
    )

    unclip: SourceText = Field(
        UNCLIP,
        description="MindEye2's unCLIP, for decoding.pictures: unclip; of a remote one what draws alone is "
        "downloaded, 10.2 GB.",
    )
    picture_networks: dict[PictureNetwork, SourceText] = Field(
        {},
        description="Published weights of the networks that compare drawn pictures with seen ones: alexnet, "
        "inception_v3, efficientnet_b1, swav; what is not named is not computed. See docs/decoding.md.",
    )

    @field_validator("encoders")
    @classmethod
    def _have_published(cls, given: dict[str, str]) -> dict[str, str]:
        """Refuse what no encoder would read."""
        for name in given:
            if name == "cbramod":
                raise ValueError("cbramod has a key of its own, weights.cbramod")
            if name not in ENCODERS and "pretrained" not in encoder_declaration(name).options:
                raise ValueError(f"encoder {name!r} has no published weights; leave it out")
        return given

    @property
    def sources(self) -> dict[str, str]:
        """Return every source by its key, those of other encoders by their names."""
        own = {key: getattr(self, key) for key in ("clip", "token_clip", "cbramod", "mindeye2", "unclip")}
        networks = {f"{COMPARING}{name}": source for name, source in self.picture_networks.items()}
        return own | ENCODERS | self.encoders | networks
