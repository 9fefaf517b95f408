"""Modules that are imported by a name that is only known when a job runs."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from brain2image.core.errors import InputError


def load_module(name: str) -> ModuleType:
    """Import a module by its dotted name, or by the path of its file."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).resolve()
    key = f"brain2image_file_{path.stem}"
    if getattr(sys.modules.get(key), "__file__", None) == str(path):
        return sys.modules[key]
    spec = importlib.util.spec_from_file_location(key, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError(f"{name}: expected a Python file, got none; correct its path in the config")
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module
    spec.loader.exec_module(module)
    return module
