"""The configuration's reference, written from its schema so that it cannot go stale."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from brain2image.config import Config, RunConfig, Section
from brain2image.config.messages import block_type
from brain2image.config.whole import BLOCKS

YAML_HEADER = """\
# yaml-language-server: $schema=config.schema.json
# Every key with its default; units and meanings beside it. Unknown or ill-typed keys stop the run before any
# job. This file is used when no --configfile is given; a --configfile replaces it, missing keys take their
# defaults. Written by `brain2image config-docs config` (tests compare); edit the values, not the comments.
"""

MARKDOWN_HEADER = """\
# Configuration

Edit `config/config.yaml`, or write a file of your own with the keys that you change and give it with
`--configfile`. Missing keys take the defaults below. A wrong key or type stops the run before any job and
names the nearest valid key. A changed value reruns exactly the stages that use it. Editors with a YAML
language server complete and check keys by `config.schema.json` in files whose first line names it, as that
of `config/config.yaml` does.

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
  from_others:
    people: others
```

`people` says whose EEG a run learns from: `own`, the person that is tested; `others`, all people of the same
data set in `brains` with the same fMRI but that one; `all` of them; or a list, `[things-02, things-03]`, whom
`brains` need not name. A run of `all` or of a list is trained once for everybody.

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


def json_schema() -> str:
    """Return ``config/config.schema.json``, from which editors complete and check keys.

    It takes whatever `load_config` takes. That checks more: what concerns several keys at once, and paths.
    """
    schema = Config.model_json_schema(schema_generator=_Generator)
    keys = schema["properties"]
    people = RunConfig.model_json_schema(schema_generator=_Generator)["properties"]["people"]
    blocks = {block: {"$ref": keys[block]["$ref"]} for block in BLOCKS}
    run = {
        "type": "object",
        "properties": {key: _or_nothing(value) for key, value in ({"people": people} | blocks).items()},
        "additionalProperties": False,
    }
    (name,) = keys["runs"]["patternProperties"]
    keys["runs"]["patternProperties"] = {name: _or_nothing(run)}
    schema["properties"] = {key: _or_nothing(value) for key, value in keys.items()}
    dialect = {"$schema": GenerateJsonSchema.schema_dialect}
    return json.dumps(dialect | schema, indent=2, ensure_ascii=False) + "\n"


class _Generator(GenerateJsonSchema):
    """Refuse names that do not fit their pattern, and leave out titles, which only repeat the keys."""

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        return {"additionalProperties": False} | super().dict_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _or_nothing(schema: dict[str, Any]) -> dict[str, Any]:
    """Let a key have no value, which YAML reads as null and `load_config` as the default."""
    return {"anyOf": [schema, {"type": "null"}]}


def _default(value: Any) -> str:
    return "none" if value is None else f"`{_value(value)}`"


def _value(value: Any) -> str:
    """Write a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


DOCUMENTS = {"config.yaml": default_yaml, "README.md": markdown, "config.schema.json": json_schema}


def write_config_docs(folder: Path) -> None:
    """Write all that `DOCUMENTS` names into the folder ``config/``."""
    for name, write in DOCUMENTS.items():
        (folder / name).write_text(write())
