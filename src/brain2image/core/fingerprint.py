"""A fingerprint of the source that a script runs, so that a change of library code reruns its stages."""

import ast
import hashlib
import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

# Modules that cannot change what a script computes: the config's values reach it as params, which Snakemake
# compares itself; the job frame only logs; the package itself holds its version.
NEUTRAL = re.compile(r"brain2image(\.config(\..*)?|\.jobs)?")


def source_fingerprint(script: str | Path) -> str:
    """Hash a script and every ``brain2image`` module that it imports, directly or through others.

    Comments, docstrings, blank lines and formatting do not count, nor does where the checkout lies. Imports
    inside functions count like those at the top. The modules of `NEUTRAL` do not count.

    Parameters
    ----------
    script : path of a Python file.

    Returns
    -------
    16 hexadecimal digits.
    """
    script = Path(script).resolve()
    names = _closure(script)
    parts = [_source(script)[1], *(f"{name}\n{_source(_module_file(name))[1]}" for name in names)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def imported_modules(script: str | Path) -> list[str]:
    """List the ``brain2image`` modules whose source enters `source_fingerprint`, sorted."""
    return list(_closure(Path(script).resolve()))


@cache
def _closure(path: Path) -> tuple[str, ...]:
    found: set[str] = set()
    waiting = list(_imports(path))
    while waiting:
        name = waiting.pop()
        file = _module_file(name)
        if file and name not in found and not NEUTRAL.fullmatch(name):
            found.add(name)
            waiting.extend(_imports(file))
    return tuple(sorted(found))


def _imports(path: Path) -> frozenset[str]:
    """Find the package's own modules that one file imports, with the packages that hold them."""
    own = {name for name in _source(path)[0] if name.split(".")[0] == PACKAGE.name}
    parents = {name.rsplit(".", depth)[0] for name in own for depth in range(name.count(".") + 1)}
    return frozenset(name for name in parents if _module_file(name) is not None)


def _origin(node: ast.ImportFrom, path: Path) -> str:
    """Return the absolute name of the module that a ``from … import`` reads."""
    if node.module and node.level == 0:
        return node.module
    folder = path.parents[node.level - 1].relative_to(PACKAGE.parent)
    return ".".join((*folder.parts, *([node.module] if node.module else [])))


@cache
def _module_file(name: str) -> Path | None:
    """Find the source file of a module of the package; None for names of functions and classes."""
    stem = PACKAGE.parent.joinpath(*name.split("."))
    candidates = (stem / "__init__.py", stem.with_suffix(".py"))
    return next((file for file in candidates if file.is_file()), None)


@cache
def _source(path: Path) -> tuple[frozenset[str], str]:
    """Read the names that a file imports, and its source without docstrings and comments, in one layout.

    `ast.unparse` is used rather than `ast.dump`, whose text changes with the version of Python.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, path)
            names.update((origin, *(f"{origin}.{alias.name}" for alias in node.names)))
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return frozenset(names), ast.unparse(tree)
