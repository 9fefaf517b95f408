"""Runs that are shared on the Hub."""

import re
from pathlib import Path

from brain2image.core.errors import InputError
from brain2image.weights.download import fetch, fetch_beside

PREFIX = "hf://"
REPOSITORY = re.compile(r"hf://[\w.-]+/[\w.-]+(@[^/@]+)?/?")


def fetch_run(source: str) -> Path:
    """Download a run from the Hub, unless the cache has it, and return its folder.

    Parameters
    ----------
    source : ``hf://owner/name`` or ``hf://owner/name@revision``.

    Raises
    ------
    InputError
        When the source is written otherwise, cannot be downloaded, or holds no run.
    """
    if not REPOSITORY.fullmatch(source):
        raise InputError(f"expected hf://owner/name or hf://owner/name@revision, got {source!r}")
    repository = source.rstrip("/")
    weights = fetch(f"{repository}/model.safetensors")
    pinned = f"{repository.partition('@')[0]}@{weights.commit}"
    config = fetch_beside(f"{pinned}/model.safetensors", "config.json")
    if config is None:
        raise InputError(
            f"{source}: expected a run with config.json and model.safetensors, got no config.json"
        )
    return config.parent
