"""How docstrings are shown: what stands behind a name is prose, such as a shape, and no type."""

import re
from typing import Any

from griffe import Extension, Object

SECTION = re.compile(
    r"^(Parameters|Attributes|Returns|Raises)\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", re.MULTILINE | re.DOTALL
)
ENTRY = re.compile(r"^(\S.*)\n?((?:(?:[ \t].*)?\n?)*)", re.MULTILINE)


class ProseSections(Extension):
    """Writes the sections of docstrings as lists in Markdown."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of an object when its source has been read."""
        if obj.docstring:
            obj.docstring.value = SECTION.sub(_section, obj.docstring.value)


def _section(match: re.Match[str]) -> str:
    """Return a section as a list, or as a paragraph where what is returned has no name."""
    title, body = match[1], match[2].strip()
    if title == "Returns" and not re.match(r"[\w, ]+ : ", body):
        return f"**{title}**\n\n{body}\n\n"
    return f"**{title}**\n\n{''.join(map(_entry, ENTRY.finditer(body)))}\n"


def _entry(match: re.Match[str]) -> str:
    """Return a name and what is said of it as an item."""
    name, _, text = match[1].partition(" : ")
    text = " ".join(f"{text}\n{match[2]}".split())
    return f"- `{name}`: {text}\n"
