"""What MkDocs is told beyond mkdocs.yml: pages outside of docs/, files with links to them, all options."""

import argparse
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from brain2image.__main__ import command_line

ROOT = Path(__file__).parents[2]
# Documents of the checkout that lie outside of docs/, and what they are called on the site.
OUTSIDE = {
    "README.md": "index.md",
    "config/README.md": "config.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "notebooks/results_to_figure.ipynb": "results_to_figure.md",
    "notebooks/recording_to_pictures.ipynb": "recording_to_pictures.md",
}
LINK = re.compile(r"\]\((?!\w+:)([^)\s#]+)")
# What Pygments calls the languages of files, by suffix.
LANGUAGES = {".py": "python", ".smk": "python", ".yaml": "yaml", ".yml": "yaml", ".cff": "yaml"}


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the documents outside of docs/, read where they stand, and the files that documents link to."""
    documents = [*OUTSIDE, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    for path, name in OUTSIDE.items():
        files.append(File.generated(config, name, content=_text(path)))
    for path in sorted({path for document in documents for path in _files_linked_to(document)}):
        language = LANGUAGES.get(Path(path).suffix, "text")
        content = f"---\nsearch: {{exclude: true}}\n---\n# {path}\n\n~~~~{language}\n{_text(path)}\n~~~~\n"
        files.append(File.generated(config, _name(path), content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Make links lead to pages of the site, and add the options to the page on the command line."""
    name = page.file.src_uri
    if name.startswith("source/"):
        return markdown
    if name == "commands.md":
        markdown += "".join(_sections())
    document = next((path for path, site_name in OUTSIDE.items() if site_name == name), f"docs/{name}")
    return LINK.sub(lambda link: f"]({_name(_path(document, link[1]))}", markdown)


def _text(path: str) -> str:
    """Return the text of a file of the checkout; of a notebook its cells, in Markdown."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if not path.endswith(".ipynb"):
        return text
    frames = {"markdown": "{}", "code": "```python\n{}\n```"}
    cells = json.loads(text)["cells"]
    return "\n\n".join(frames[cell["cell_type"]].format("".join(cell["source"])) for cell in cells)


def _files_linked_to(document: str) -> set[str]:
    """Return the files of the checkout that a document links to, and that are no part of the site."""
    targets = LINK.findall(_text(document))
    paths = {_path(document, target) for target in targets}
    return {
        path for path in paths - OUTSIDE.keys() if not path.startswith("docs/") and (ROOT / path).is_file()
    }


def _path(document: str, target: str) -> str:
    """Return where a link of a document leads, from the root of the checkout."""
    return os.path.normpath(Path(document).parent / target)


def _name(path: str) -> str:
    """Return what a file of the checkout is called on the site; of one that is not there MkDocs says so."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    # names with a dot in front are no pages to MkDocs
    return path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path.lstrip('.')}.md"


def _sections() -> Iterator[str]:
    """Give a section on each command: what ``--help`` says."""
    os.environ["COLUMNS"] = "80"
    parser = command_line()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        yield f"\n## {name}\n\n```text\n{command.format_help()}```\n"
