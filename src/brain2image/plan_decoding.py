"""What is decoded to tokens and pictures, and where it lies: the part of the plan about decoding."""

from typing import Any

from brain2image.constants.brain_names import divide_brains
from brain2image.plan_files import FMRI, PictureFiles
from brain2image.weights.planned import WeightPlaces
from brain2image.weights.sources import COMPARING


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

    def drawn_tokens(self, person: str, subj: str) -> str:
        """Return the tokens that the unCLIP draws: the prior's where it is asked for, else the backbone's."""
        return self._decoding(person, subj, "prior.h5" if self.config.decoding.prior else "tokens.h5")

    def drawn(self, person: str, subj: str) -> list[str]:
        """List the drawn pictures of brains, a file a way of drawing."""
        return [self._decoding(person, subj, f"{way}.h5") for way in self.config.decoding.ways]

    def compared(self, person: str, subj: str) -> list[str]:
        """List how drawn pictures resemble the seen ones, nothing where none are drawn."""
        return [self._decoding(person, subj, "pictures.json")] * bool(self.config.decoding.ways)

    def decoded_scores(self) -> list[str]:
        """List the scores of tokens and of drawn pictures, of all brains."""
        decoding = self.config.decoding
        kinds = ["tokens"] * decoding.tokens + ["prior"] * decoding.prior + ["pictures"] * bool(decoding.ways)
        return [f"{self.results}/decoding/{brains}.{kind}.json" for brains in self.brains for kind in kinds]

    def picture_networks(self) -> dict[str, str]:
        """Return the weights of the networks that compare pictures, by their names."""
        names = sorted(self.config.weights.picture_networks)
        return {name: str(self.weights.find(f"{COMPARING}{name}")) for name in names}

    @property
    def decoding_weights(self) -> set[str]:
        """Return the keys of the weights that decoding needs beside the checkpoint."""
        wanted = {"token_clip"} if self.config.decoding.tokens else set()
        wanted |= {"unclip"} if "unclip" in self.config.decoding.ways else set()
        networks = {f"{COMPARING}{name}" for name in self.config.weights.picture_networks}
        return wanted | (networks if self.config.decoding.ways else set())

    def decoding_parts(self) -> dict[tuple[str, str], str]:
        """Return where the networks of the checkpoints lie that decoding needs, by space and name."""
        decoding = self.config.decoding
        names = ["backbone"] * decoding.tokens + ["prior"] * decoding.prior
        spaces = sorted({divide_brains(brains)[1] for brains in self.brains})
        return {
            (subj, name): f"{self.results}/decoding/{subj}_{name}.safetensors"
            for subj in spaces
            for name in names
        }

    def decoding_downloads(self) -> list[str]:
        """List those of which the checkpoints are on a server."""
        return list(self.decoding_parts().values()) if self.weights.is_fetched("mindeye2") else []

    def decoding_pages(self) -> list[str]:
        """List the pages about pictures from EEG."""
        return [f"{brains}/pictures" for brains in self.brains] if self.config.decoding.tokens else []

    def _decoding(self, person: str, subj: str, name: str) -> str:
        return f"{self.results}/decoding/{person}_{subj}.{name}"
