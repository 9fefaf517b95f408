"""Ways to damage a release: each function returns one that takes the folder of the release."""

import os
import pickle

import h5py
import numpy as np


class Payload:
    """Makes a folder ``ran`` when it is unpickled."""

    def __init__(self, root):
        self.path = root.parent / "ran"

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def put(name, content):
    return lambda root: (root / name).write_bytes(content)


def cut(name, share=0.3):
    def damage(root):
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: int(len(content) * share)])

    return damage


def replace(name, make):
    """Put what ``make(path)`` makes in place of a file."""

    def damage(root):
        (root / name).unlink()
        make(root / name)

    return damage


def remove(name):
    return lambda root: (root / name).unlink()


def rename(old, new):
    return lambda root: (root / old).rename(root / new)


def save_npy(name, make):
    """Put what ``make(root)`` returns into an ``.npy`` file."""
    return lambda root: np.save(root / name, make(root), allow_pickle=True)


def save_pickle(value, path):
    path.write_bytes(pickle.dumps(value))


def write_hdf5(name, key, array):
    """Put one dataset in place of a file; a dict gives the options of an empty one."""

    def damage(root):
        options = array if isinstance(array, dict) else {"data": array}
        with h5py.File(root / name, "w") as file:
            file.create_dataset(key, **options)

    return damage


def edit_hdf5(name, change):
    def damage(root):
        with h5py.File(root / name, "r+") as file:
            change(file)

    return damage


def edit_dataset(name, key, change):
    """Put another array in place of a dataset, its file otherwise as it was."""

    def exchange(file):
        array = change(file[key][()])
        del file[key]
        file[key] = array

    return edit_hdf5(name, exchange)


def overwrite(name, key):
    """Overwrite the middle of a dataset's own header with zeros."""

    def damage(root):
        with h5py.File(root / name) as file:
            place = h5py.h5o.get_info(file[key].id).addr
        with (root / name).open("r+b") as file:
            file.seek(place)
            file.write(bytes(64))

    return damage
