"""What the fingerprint reads in each source file of this checkout, for the forks of dry_runs.py.

Half of a dry run's time goes into reading them anew, and in a changed copy all but one are the same.
"""

import gc
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from helpers import dry_runs  # noqa: F401  the server of forks imports this module alone
from helpers.checkouts import ROOT

FILES = [*ROOT.glob("src/brain2image/**/*.py"), *ROOT.glob("workflow/scripts/*.py")]


def read_sources() -> dict[tuple[str, bytes], Any]:
    """Result of `fingerprint._source` by a file's path inside the checkout and its bytes."""
    # as a module of its own, for every fork imports brain2image from another checkout
    spec = spec_from_file_location("fingerprint_here", ROOT / "src/brain2image/core/fingerprint.py")
    here = module_from_spec(spec)
    spec.loader.exec_module(here)
    return {(str(file.relative_to(ROOT)), file.read_bytes()): here._source(file) for file in FILES}


KNOWN = read_sources()
gc.freeze()  # else every fork would go through, and so copy, all that it shares with the server


def recall(fingerprint: Any) -> None:
    """Let a checkout's module `fingerprint` take what is known of equal files."""
    read, root = fingerprint._source, fingerprint.PACKAGE.parents[1]

    def source(path: Path) -> Any:
        known = path.is_relative_to(root) and KNOWN.get((str(path.relative_to(root)), path.read_bytes()))
        return known or read(path)

    fingerprint._source = cache(source)
