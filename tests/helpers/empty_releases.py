"""Releases whose files are empty."""


def touch(root, releases, name, **subject):
    for pattern in releases[name]:
        path = root / pattern.format(**subject)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root
