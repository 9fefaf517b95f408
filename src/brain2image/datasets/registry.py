"""The data sets that there are: those of the project, of installed packages, and of the config's files."""

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points

from brain2image import datasets
from brain2image.core.errors import InputError
from brain2image.core.modules import load_module
from brain2image.datasets.base import Dataset, EEGDataset, FMRIDataset

GROUP = "brain2image.datasets"  # of entry points, each a module


@cache
def load_datasets(files: tuple[str, ...] = ()) -> dict[str, Dataset]:
    """Import all data sets, by name.

    Parameters
    ----------
    files : paths of Python files with an object ``DATASET`` each.

    Raises
    ------
    InputError
        When a module has no data set, or two have one name.
    """
    found: dict[str, Dataset] = {}
    folders = (module.name for module in pkgutil.iter_modules(datasets.__path__) if module.ispkg)
    built_in = (f"{datasets.__name__}.{name}.{name}" for name in sorted(folders))
    for module in (*built_in, *(point.value for point in entry_points(group=GROUP)), *files):
        dataset = getattr(load_module(module), "DATASET", None)
        if not isinstance(dataset, EEGDataset | FMRIDataset):
            raise InputError(
                f"{module}: expected DATASET, an EEGDataset or FMRIDataset of brain2image.datasets.base, got "
                f"{type(dataset).__name__}; see docs/own_data_set.md"
            )
        if dataset.name in found:
            raise InputError(f"{module}: there is a data set {dataset.name!r} already; give it another name")
        found[dataset.name] = dataset
    return found


def list_datasets(files: Sequence[str] = ()) -> list[str]:
    """List the names of all data sets, those of EEG first.

    Parameters
    ----------
    files : paths of Python files with data sets of your own, as in the config's ``datasets``.
    """
    found = load_datasets(tuple(files))
    return sorted(found, key=lambda name: (not isinstance(found[name], EEGDataset), name))
