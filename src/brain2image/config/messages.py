"""What is wrong with a configuration, in sentences that help."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from brain2image.core.errors import InputError

# What the texts that must follow a pattern look like.
EXAMPLES = {
    "brains": "brains such as things-01_subj01",
    "container": "a file or an address without blanks",
    "runs": "a name of letters, digits, - and _",
    "eeg": "a person such as things-01",
    "people": "a person such as things-01",
}


def validate(
    section: type[BaseModel], content: Mapping[str, Any], *, root: type[BaseModel], prefix: str = ""
) -> Any:
    """Return the section with its values checked.

    Parameters
    ----------
    section : the block to make.
    content : its keys and values.
    root : the whole configuration, in whose blocks a misplaced key is looked for.
    prefix : where the block stands, for the messages: ``runs.flatten.``.

    Raises
    ------
    InputError
        Naming each wrong key, what was expected, what came, and the nearest valid key.
    """
    try:
        return section.model_validate(content)
    except ValidationError as error:
        problems = (_explain(problem, section, root, prefix) for problem in error.errors())
        raise InputError("; ".join(problems)) from None


def _explain(problem: Mapping[str, Any], section: type[BaseModel], root: type[BaseModel], prefix: str) -> str:
    """Put one problem that pydantic found into a sentence."""
    location = prefix + ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        for part in problem["loc"][:-1]:
            block = block_type(section, part)
            assert block is not None  # as the unknown key lies in it
            section = block
        return unknown_key(location, section, root=root)
    if problem["type"] == "value_error":
        return f"config: {location + ': ' if location else ''}{problem['ctx']['error']}"
    if problem["type"] == "string_pattern_mismatch":
        return f"config: {location}: expected {EXAMPLES[problem['loc'][0]]}, got {problem['input']!r}"
    expected = problem["msg"].removeprefix("Input should be ").removeprefix("a ").removeprefix("valid ")
    hint = "; YAML reads 5e-4 as text, write 5.0e-4" if _looks_like_exponent(problem["input"]) else ""
    return f"config: {location}: expected {expected}, got {problem['input']!r}{hint}"


def block_reason(error: Exception) -> str:
    """Say in one line why a run's ``model`` block or its files cannot be used."""
    if isinstance(error, ValidationError):  # its own text spreads over lines
        return "; ".join(
            f"model.{problem['loc'][0]}: {problem['msg']}" if problem["loc"] else problem["msg"]
            for problem in error.errors()
        )
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def unknown_key(location: str, section: type[BaseModel], *, root: type[BaseModel]) -> str:
    """Explain a key that its section does not have, and name the one that was probably meant."""
    key = location.rpartition(".")[2]
    near = difflib.get_close_matches(key, section.model_fields, n=1)
    blocks = {name: block_type(root, name) for name in root.model_fields}
    elsewhere = [f"{name}.{key}" for name, block in blocks.items() if block and key in block.model_fields]
    hint = f"; did you mean {(near + elsewhere)[0]!r}?" if near or elsewhere else "."
    return f"config: unknown key {location!r}{hint} Valid keys here: {', '.join(section.model_fields)}"


def unknown_folder(key: str, known: Sequence[str]) -> str:
    """Return a sentence on a key of ``data`` that no data set reads, with the one that was probably meant."""
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"config: unknown key 'data.{key}'{hint} Valid keys here: {', '.join(known)}"


def block_type(section: type[BaseModel], field: str) -> type[BaseModel] | None:
    """Return the type of a block inside a section; None for a plain key."""
    annotation = section.model_fields[field].annotation
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    kinds = (kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel))
    return next(kinds, None)


def _looks_like_exponent(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[+-]?\d+[eE][+-]?\d+", value) is not None
