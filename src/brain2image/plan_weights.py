"""Which pretrained weights are needed, and what starts from them: the part of the plan about weights."""

from functools import cached_property
from itertools import product
from typing import Any

from brain2image.constants.pooling_names import ENCODERLESS
from brain2image.constants.predictors import SEED_SUFFIX
from brain2image.core.errors import InputError
from brain2image.plan_decoding import DecodingFiles


class PlannedWeights(DecodingFiles):
    """The weights of the runs, of baselines and of decoding."""

    @cached_property
    def starts_from(self) -> dict[str, str]:
        """Return the encoder from whose published weights each run or baseline starts, where one does.

        Raises
        ------
        InputError
            When the config names none for it.
        """
        found = {"cbramod_linear": "cbramod"} if "cbramod_linear" in self.config.baselines else {}
        for name, model in ((name, run.model) for name, run in self.runs.items()):
            if model.pretrained and model.pooling != ENCODERLESS:
                if model.encoder not in self.weights.sources:
                    raise InputError(
                        f"config: run {name}: expected published weights of {model.encoder} under "
                        "weights.encoders, got none; name them, or set its model.pretrained to false"
                    )
                found[name] = model.encoder
        return found

    def encoder_weights(self, run: str) -> str | list[str]:
        """Return the published weights that a run or a baseline starts from, nothing for others."""
        return self.weights.find(self.starts_from[run]) if run in self.starts_from else []

    @property
    def needed_weights(self) -> list[str]:
        """List the keys of the weights that this config needs."""
        needed = {"clip", *self.starts_from.values()} | self.decoding_weights
        needed |= {"mindeye2"} if self.subjects else set()
        return [key for key in self.weights.sources if key in needed]

    def downloads(self) -> list[str]:
        """List everything that this config downloads."""
        found = self.weights.downloads(self.subjects, of=self.needed_weights)
        return found + self.decoding_downloads()

    def published_starts(self) -> list[dict[str, Any]]:
        """List encoders that start from published weights, as `take_inventory` looks at them, each once."""
        found: dict[str, dict[str, Any]] = {}
        for (run, encoder), brains in product(sorted(self.starts_from.items()), self.brains):
            model = self.runs[run].model.model_dump() if run in self.runs else {"encoder": encoder}
            channels = self.heard_channels(brains, run)
            kind = repr((encoder, model.get("n_layers"), channels))
            start = {"encoder": encoder, "model": model, "channels": channels, "runs": []}
            name = run.partition(SEED_SUFFIX)[0]
            runs = found.setdefault(kind, start)["runs"]
            runs += [name] if name not in runs else []
        return list(found.values())
