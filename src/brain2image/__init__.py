"""Align EEG with fMRI through pictures.

The names of `__all__` are a promise; everything else may move. They are imported when they are first used, so
that ``import brain2image`` alone, and with it parsing the workflow, imports no PyTorch.
"""

import importlib
from typing import Any

__version__ = "0.2.0"

# Public name -> module that holds it.
_HOMES = {
    "AlignmentDataset": "training_set.batches",
    "CBraMod": "models.encoders.cbramod",
    "load_model": "translation.loading",
    "match_one_to_one": "pairs.matching",
    "read_ridge": "projection.projecting",
    "retrieval_scores": "evaluation.scores",
    "translate": "translation.embeddings",
}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
