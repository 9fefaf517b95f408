"""Where the pretrained weights of a config are: the user's files, or what the workflow downloads."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from brain2image.core.errors import InputError
from brain2image.weights.sources import CLIP_CONFIG, COMPARING, check_file, is_remote, redact

CLIPS = ("clip", "token_clip")  # that an open_clip tag may name
PARTS = ("mindeye2", "unclip")  # of which rules read what they need, wherever they are
OWN_KEYS = (*CLIPS, *PARTS, "cbramod")  # of the block; other encoders stand under `encoders`


class WeightPlaces:
    """The places of the weights ``clip``, ``mindeye2`` and so on, and of encoders by their names.

    Parameters
    ----------
    sources : of all of them, `WeightsConfig.sources`.
    results : the results folder.
    must_exist : whether the user's files must be there; simulated ones are made first.
    """

    def __init__(self, sources: Mapping[str, str], *, results: str, must_exist: bool):
        self.sources, self.must_exist = dict(sources), must_exist
        others = {
            **{key: f"{results}/weights/{key}" for key in CLIPS},
            "mindeye2": f"{results}/projection/{{subj}}_ridge.safetensors",
            "unclip": f"{results}/decoding/unclip.safetensors",
        }
        # encoders by the names of their files, which have no colon
        encoders = {key.replace(":", "_"): key for key in sources if key not in others}
        places = {key: f"{results}/weights/{name}.pth" for name, key in encoders.items()} | others
        # where the workflow keeps what it downloads, by the key in the config
        self.fetched = {key: path for key, path in places.items() if self.is_fetched(key)}
        self.fetched_encoders = {name: key for name, key in encoders.items() if key in self.fetched}

    def clip_tag(self, key: str = "clip") -> str | None:
        """Return the open_clip tag of weights of CLIP; None where they are a file or a URL."""
        source = self.sources[key]
        return None if "/" in source or Path(source).suffix else source

    def is_fetched(self, key: str) -> bool:
        """Say whether the workflow downloads these weights."""
        is_tag = key in CLIPS and self.clip_tag(key) is not None
        return is_tag or is_remote(self.sources[key])

    def find(self, key: str, **wildcards: str) -> str | list[str]:
        """Return the user's file, or where a fetch rule puts the download; of remote parts there is no file.

        Raises
        ------
        InputError
            When the user's file is not there.
        """
        if self.is_fetched(key):
            return [] if key in PARTS else self.fetched[key]
        path = self.sources[key].format(**wildcards)
        try:
            if self.must_exist:
                check_file(path)
        except InputError as error:
            network = key.removeprefix(COMPARING)
            group = "encoders" if network == key else "picture_networks"
            named = key if key in OWN_KEYS else f"{group}.{network}"
            raise InputError(f"config: weights.{named}: {error}") from None
        return path

    def shown(self, key: str, **wildcards: str) -> str:
        """Return the source without its secrets, for params and logs; without wildcards that of all."""
        source = self.sources[key]
        return redact(source.format(**wildcards) if wildcards else source)

    def clip_config(self, key: str = "clip") -> list[str]:
        """List the file beside weights of CLIP that says how pictures are prepared, if there is one."""
        beside = Path(self.sources[key]).with_name(CLIP_CONFIG)
        return [str(beside)] if not self.is_fetched(key) and beside.exists() else []

    def downloads(self, subjects: Sequence[str], *, of: Iterable[str]) -> list[str]:
        """List everything that is downloaded.

        Parameters
        ----------
        subjects : people of the fMRI, each with a checkpoint.
        of : keys of weights that something needs.
        """
        needed = set(of)
        wanted = [path for key, path in self.fetched.items() if key in needed]
        return [
            file
            for path in wanted
            for file in ([path.format(subj=one) for one in subjects] if "{subj}" in path else [path])
        ]
