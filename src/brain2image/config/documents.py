"""The configuration's reference, written from its schema so that it cannot go stale."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from brain2image.config import Config, Section
from brain2image.config.messages import block_type

YAML_HEADER = """\
# Every key with its default; units and meanings beside it. Unknown or ill-typed keys stop the run before any
# job. This file is used when no --configfile is given; a --configfile replaces it, missing keys take their
# defaults. Written by `brain2image config-docs config` (tests compare); edit the values, not the comments.
"""

MARKDOWN_HEADER = """\
# Configuration

Edit `config/config.yaml`, or write a file of your own with the keys that you change and give it with
`--configfile`. Missing keys take the defaults below. A wrong key or type stops the run before any job and
names the nearest valid key. A changed value reruns exactly the stages that use it.

Runs: `runs:` names what is trained. Each run takes the `model`, `loss` and `training` blocks and changes
what it lists:

```yaml
runs:
  multitoken_vit: {}
  flatten:
    model: {pooling: flatten}
  no_pretraining:
    model: {pretrained: false}
    training: {learning_rate: 0.001}
```

Numbers with an exponent need a point in YAML: `5.0e-4`, not `5e-4`.

A config from somebody else may be a program: with the key `__use_yte__`, Snakemake runs the Python in it
([YTE](https://yte-template-engine.github.io/)), in dry runs too. Look into it before you use it.

This page is written by `brain2image config-docs config` from `src/brain2image/config/`.
"""


def _keys(section: type[Section], depth: int = 0) -> Iterator[tuple[int, str, Any, Any]]:
    """Yield depth, name, field and default of every key, blocks before what they hold."""
    for name, field in section.model_fields.items():
        default = field.default
        yield depth, name, field, default
        if isinstance(default, Section):
            yield from _keys(type(default), depth + 1)


def default_yaml() -> str:
    """Write ``config/config.yaml``: every key with its default, meaning as a comment.

    ``simulate`` is left out: it is for the demo, which lists all its keys.
    """
    lines = [YAML_HEADER]
    for depth, name, field, default in _keys(Config):
        if default is None:
            continue
        indent = "  " * depth
        if isinstance(default, Section):
            lines.append(f"\n# {_meaning(type(default))}\n{name}:")
            continue
        blank = "\n" if depth == 0 and name == "runs" else ""
        lines.append(f"{blank}{indent}{name}: {_value(default)}  # {field.description}")
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """Write ``config/README.md``: a table of keys, types, defaults and meanings for each block."""
    sections = ((name, block_type(Config, name)) for name in Config.model_fields)
    blocks: list[tuple[str, type[BaseModel]]] = [("(top level)", Config)]
    blocks += [(name, section) for name, section in sections if section]
    parts = [MARKDOWN_HEADER]
    for name, section in blocks:
        rows = [
            f"| `{key}` | {_default(field.default)} | {field.description} |"
            for key, field in section.model_fields.items()
            if not any(key == block for block, _ in blocks) or section is not Config
        ]
        parts.append(
            f"## `{name}`\n\n{_meaning(section)}\n\n| key | default | meaning |\n| --- | --- | --- |"
        )
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _meaning(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").strip()


def _default(value: Any) -> str:
    return "none" if value is None else f"`{_value(value)}`"


def _value(value: Any) -> str:
    """Write a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def write_config_docs(folder: Path) -> None:
    """Write ``config.yaml`` and ``README.md`` into the folder ``config/``."""
    (folder / "config.yaml").write_text(default_yaml())
    (folder / "README.md").write_text(markdown())
