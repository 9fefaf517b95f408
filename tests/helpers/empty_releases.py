"""Releases whose files are empty."""

from brain2image.datasets.registry import load_datasets

THINGS, NSD = (load_datasets()[name] for name in ("things", "nsd"))


def touch(root, dataset, release, person):
    """Make the files of a person's release in a folder."""
    for pattern in dataset.releases[release]:
        path = root / pattern.format(person=dataset.label(person))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root
