"""A fingerprint of the source that a script runs, so that a change of library code reruns its stages."""

import ast
import hashlib
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

# Modules that cannot change a number. The config's values reach a computation as params, which Snakemake
# compares itself; core frames the jobs, says where they run and where files land, and plans; the package
# holds its version. A constant in them that a computation reads reruns nothing (tests/core/test_neutral.py).
NEUTRAL = re.compile(r"brain2image(\.(config|core)(\..*)?)?")


def source_fingerprint(*roots: str | Path) -> str:
    """Return a hash of source files and of every ``brain2image`` module that they import, in the end.

    Comments, docstrings, blank lines and formatting do not count, nor does where the checkout lies. Imports
    inside functions count like those at the top. The modules of `NEUTRAL` do not count.

    Parameters
    ----------
    roots : a script, and what it imports by a name that it is given: paths of Python files, here or
        elsewhere, or dotted names of modules. Of somebody else's module its own package is followed too.

    Returns
    -------
    16 hexadecimal digits.

    Raises
    ------
    ValueError
        When a root is no module.
    """
    files = tuple(map(_root_file, roots))
    parts = [_source(file)[1] for file in files]
    parts += [f"{name}\n{_source(file)[1]}" for name, file in _closure(files).items()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def imported_modules(*roots: str | Path) -> list[str]:
    """Return the names of the modules that the roots import and that enter `source_fingerprint`, sorted."""
    return list(_closure(tuple(map(_root_file, roots))))


def _root_file(root: str | Path) -> Path:
    """Return the source file of a root of `source_fingerprint`."""
    if isinstance(root, Path) or root.endswith(".py"):
        return Path(root).resolve()
    if root.partition(".")[0] == PACKAGE.name:
        file = _module_file(root, PACKAGE.parent)
    else:
        spec = importlib.util.find_spec(root)
        file = Path(spec.origin) if spec and spec.origin and spec.has_location else None
    if file is None:
        raise ValueError(f"{root}: expected a module that is written in Python, or the path of one, got none")
    return file


@cache
def _closure(files: tuple[Path, ...]) -> dict[str, Path]:
    """Return the modules that files import, without the neutral ones, by name, sorted."""
    found: dict[str, Path] = {}
    waiting = [module for file in files for module in _imports(file)]
    while waiting:
        name, file = waiting.pop()
        if name not in found and not NEUTRAL.fullmatch(name):
            found[name] = file
            waiting.extend(_imports(file))
    return dict(sorted(found.items()))


@cache
def _imports(path: Path) -> frozenset[tuple[str, Path]]:
    """Find what one file imports from the package or its own, by name and file, with its packages."""
    homes = {_top(path): _home(path), PACKAGE.name: PACKAGE.parent}
    own = {name for name in _source(path)[0] if name.partition(".")[0] in homes}
    parents = {name.rsplit(".", depth)[0] for name in own for depth in range(name.count(".") + 1)}
    files = ((name, _module_file(name, homes[name.partition(".")[0]])) for name in parents)
    return frozenset((name, file) for name, file in files if file is not None)


def _home(path: Path) -> Path:
    """Return the folder that holds a file's outermost package, from which absolute names lead to it."""
    folder = path.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _top(path: Path) -> str:
    """Return the first part of a file's absolute name; empty for one that is in no package."""
    parts = path.relative_to(_home(path)).parts
    return parts[0] if len(parts) > 1 else ""


def _origin(node: ast.ImportFrom, path: Path) -> str:
    """Return the absolute name of the module that a ``from … import`` reads."""
    if node.level == 0:
        return node.module or ""
    folder = path.parents[node.level - 1].relative_to(_home(path))
    return ".".join((*folder.parts, *([node.module] if node.module else [])))


@cache
def _module_file(name: str, home: Path) -> Path | None:
    """Find the source file of a module; None for names that are no module (functions, classes)."""
    stem = home.joinpath(*name.split("."))
    candidates = (stem / "__init__.py", stem.with_suffix(".py"))
    return next((file for file in candidates if file.is_file()), None)


@cache
def _source(path: Path) -> tuple[frozenset[str], str]:
    """Read the names that a file imports, and its source without docstrings and comments, in one layout.

    `ast.unparse` is used rather than `ast.dump`, whose text changes with the version of Python.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    names: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, path)
            names.update((origin, *(f"{origin}.{alias.name}" for alias in node.names)))
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return frozenset(names), ast.unparse(tree)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a module and all of its statements, the inner ones too; expressions are nine tenths of a tree."""
    yield node
    for block in ("body", "handlers", "cases", "orelse", "finalbody"):
        for inner in getattr(node, block, ()):
            yield from _statements(inner)
