"""Align EEG with fMRI through pictures.

The names of `__all__` are a promise; everything else may move. They are imported when they are first used, so
that ``import brain2image`` alone, and with it parsing the workflow, imports no PyTorch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brain2image.core.encoder_names import list_encoders
    from brain2image.datasets.registry import list_datasets
    from brain2image.evaluation.scores import retrieval_scores
    from brain2image.models.encoders.cbramod import CBraMod
    from brain2image.pairs.matching import match_one_to_one
    from brain2image.projection.ridge import read_ridge
    from brain2image.training_set.batches import AlignmentDataset
    from brain2image.translation.calibrating import calibrate
    from brain2image.translation.embeddings import translate
    from brain2image.translation.loading import load_model

__version__ = "0.2.0"

__all__ = [
    "AlignmentDataset",
    "CBraMod",
    "__version__",
    "calibrate",
    "list_datasets",
    "list_encoders",
    "load_model",
    "match_one_to_one",
    "read_ridge",
    "retrieval_scores",
    "translate",
]

# Public name -> module that holds it.
_HOMES = {
    "AlignmentDataset": "training_set.batches",
    "CBraMod": "models.encoders.cbramod",
    "calibrate": "translation.calibrating",
    "list_datasets": "datasets.registry",
    "list_encoders": "core.encoder_names",
    "load_model": "translation.loading",
    "match_one_to_one": "pairs.matching",
    "read_ridge": "projection.ridge",
    "retrieval_scores": "evaluation.scores",
    "translate": "translation.embeddings",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
