"""A config file's text, looked at before its values: what YAML would take for something else is refused."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from brain2image.core.errors import InputError, reason

# What YAML 1.1 reads as numbers to another base: 010 is 8, and 1:30 is 90.
OTHER_BASE = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


def check_config_files(paths: Iterable[str | Path]) -> None:
    """Check several files, see `check_config_file`."""
    for path in paths:
        check_config_file(path)


def check_config_file(path: str | Path) -> None:
    """Raise an InputError when a config file is not UTF-8, not YAML, empty, or holds what YAML misreads."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: expected text in UTF-8, got byte {error.object[error.start]:#04x} at position "
            f"{error.start}; save the file as UTF-8"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot read this config ({error.strerror})") from None
    try:
        root = yaml.compose(_without_tabs(text), yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or reason(error)
        raise InputError(f"{path}: expected YAML, but {place}{problem}") from None
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}: expected keys and values as in config/config.yaml, got {_kind(root)}")
    problem = next(_problems(root, "", set()), None)
    if problem:
        raise InputError(f"{path}: {problem}")


def _without_tabs(text: str) -> str:
    """Replace tabs, by which JSON may be indented, and which YAML does not take."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def _kind(node: yaml.Node | None) -> str:
    return "nothing" if node is None else "a list" if isinstance(node, yaml.SequenceNode) else "one value"


def _problems(node: yaml.Node, where: str, seen: set[int]) -> Iterator[str]:
    """Say what is wrong in a node and below; nodes that are named again are looked at once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            path = f"{where}.{key.value}".removeprefix(".")
            if key.value in keys:
                yield f"line {key.start_mark.line + 1}: {path} stands here twice; keep one"
            keys.add(str(key.value))
            yield from _problems(value, path, seen)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _problems(value, f"{where}.{number}", seen)
    elif node.tag in NUMBERS and OTHER_BASE.fullmatch(node.value):
        meant = yaml.safe_load(node.value)
        yield f"{where}: expected a decimal number, got {node.value}, which is {meant:g} in YAML"
