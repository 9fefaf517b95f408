"""The resolved configuration as text, key by key, for the report; sources without their secrets."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from brain2image.config.training_run import RunConfig
from brain2image.config.whole import Config
from brain2image.weights.sources import redact


def list_settings(config: Config) -> list[list[str]]:
    """List key, value and default of every key that is not a run's; the runs' own are in `list_runs`."""
    shared = {*RunConfig.model_fields, "runs"}
    defaults = dict(_flat(Config().model_dump()))
    values = _flat(config.model_dump(exclude=shared))
    return [[key, value, defaults.get(key, "")] for key, value in values]


def list_runs(config: Config) -> dict[str, dict[str, str]]:
    """List of each run, sorted, every key of it with its final value."""
    return {name: dict(_flat(config.run(name).model_dump())) for name in sorted(config.runs)}


def _flat(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in block.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            text = redact(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{prefix}{key}", text
