"""Align EEG with fMRI through pictures that look alike (THINGS-EEG2 × NSD).

Modules are imported when they are first used: ``brain2image.matching.match_one_to_one`` works after
``import brain2image`` alone, and the workflow is parsed without PyTorch.
"""

import importlib
import pkgutil
from types import ModuleType

__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    if name in __dir__():
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
