"""Which files stand on which page of the site, in the order in which they are read."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

INDEX = "index.html"


class Item(NamedTuple):
    """A figure, a page or a table of the results.

    Attributes
    ----------
    file : where it is.
    category, title : ``5 Scores``, ``2 curves``: their numbers say where they stand.
    kind, subject : what it shows, ``brains`` or ``subject`` and their names; empty of what shows all.
    caption : the template of its explanation.
    wildcards : of its path.
    """

    file: Path
    category: str
    title: str
    kind: str
    subject: str
    caption: str
    wildcards: Mapping[str, str]


class SitePage(NamedTuple):
    """A page: all items of a category on one subject."""

    name: str
    category: str
    kind: str
    subject: str
    items: tuple[Item, ...]

    @property
    def title(self) -> str:
        """Return the page's heading."""
        named = without_number(self.category)
        return f"{named}: {self.subject}" if self.subject else named


def without_number(text: str) -> str:
    """Return a category or a title without the number by which it is ordered."""
    return re.sub(r"^\d+ ", "", text)


def find_items(files: Iterable[Path], shown: Sequence[Mapping[str, Any]], *, results: Path) -> list[Item]:
    """Find out what each file shows.

    Parameters
    ----------
    files : below ``results``.
    shown : see `plan_report.list_shown`.
    """
    return [_find_item(file, shown, results=results) for file in files]


def _find_item(file: Path, shown: Sequence[Mapping[str, Any]], *, results: Path) -> Item:
    path = file.relative_to(results).as_posix()
    for one in shown:
        if found := re.fullmatch(one["pattern"], path):
            wildcards = found.groupdict()
            labels = {key: text.format(**wildcards) for key, text in one["labels"].items()}
            title = labels.pop("figure")
            run = labels.pop("run", None)
            kind, subject = next(iter(labels.items()), ("", ""))
            title = f"{title}, {run}" if run else title
            return Item(file, one["category"], title, kind, subject, one["caption"], wildcards)
    raise LookupError(f"{path}: no rule marks it for the report")


def divide_into_pages(items: Iterable[Item]) -> list[SitePage]:
    """Put items on pages, one for each category and subject, in reading order; the overview comes first."""
    groups: dict[tuple[str, str, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.category, item.kind, item.subject), []).append(item)
    pages = []
    for number, ((category, kind, subject), own) in enumerate(sorted(groups.items())):
        slug = re.sub(r"[^a-z0-9]+", "-", f"{without_number(category)} {subject}".lower()).strip("-")
        ordered = tuple(sorted(own, key=lambda item: item.title))
        pages.append(SitePage(f"{slug}.html" if number else INDEX, category, kind, subject, ordered))
    return pages
