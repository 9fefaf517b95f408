"""What is decoded to tokens and pictures, and where it lies: the part of the plan about decoding."""

from typing import Any

from brain2image.constants.brain_names import divide_brains
from brain2image.plan_files import FMRI, PictureFiles
from brain2image.weights.planned import WeightPlaces


class DecodingFiles(PictureFiles):
    """The files of decoding, none where the config decodes nothing.

    Attributes
    ----------
    weights : the pretrained weights.
    """

    weights: WeightPlaces

    scanned_set = FMRI  # the set of pictures whose tokens are compared

    def gallery(self, person: str, subj: str) -> str:
        """Return the tokens of the fMRI's pictures of a table of pairs."""
        return f"{self.results}/decoding/{self._pairs_name(person, subj)}.gallery.h5"

    def token_clip(self) -> dict[str, Any]:
        """Return how CLIP computes the tokens of pictures."""
        decoding, clip = self.config.decoding, self.config.clip
        return {
            **decoding.model_dump(include={"model", "preprocess"}),
            **clip.model_dump(include={"precision", "batch_size"}),
            "tag": self.weights.clip_tag("token_clip"),
        }

    def decoded_scores(self) -> list[str]:
        """List the scores of tokens and of drawn pictures, of all brains."""
        kinds = ["tokens"] * self.config.decoding.tokens + ["pictures"] * self.config.decoding.pictures
        return [f"{self.results}/decoding/{brains}.{kind}.json" for brains in self.brains for kind in kinds]

    @property
    def token_weights(self) -> set[str]:
        """Return the keys of the weights that decoding needs beside the checkpoint."""
        return {"token_clip"} if self.config.decoding.tokens else set()

    def backbones(self) -> list[str]:
        """List the backbones of which the checkpoints are on a server."""
        is_wanted = self.config.decoding.tokens and self.weights.is_fetched("mindeye2")
        spaces = sorted({divide_brains(brains)[1] for brains in self.brains}) if is_wanted else []
        return [f"{self.results}/decoding/{subj}_backbone.safetensors" for subj in spaces]

    def decoding_pages(self) -> list[str]:
        """List the pages about pictures from EEG."""
        return [f"{brains}/pictures" for brains in self.brains] if self.config.decoding.tokens else []
