"""The report: a folder of pages for any browser, offline, with links between them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from brain2image.core.atomic import atomic_path
from brain2image.report.site.captions import caption_html
from brain2image.report.site.sections import link_pages, make_section
from brain2image.report.site.shown_files import (
    INDEX,
    SitePage,
    divide_into_pages,
    find_items,
    without_number,
)
from brain2image.report.site.site_frame import SITE_STYLE, Link, Part, site_map, site_page

# Pages of a category that each of them links; the overview links all, however many there are.
MOST_SIBLINGS = 20
# How the subjects of a kind are headed on the map, in this order; "" is what shows all of them.
KINDS = {
    "": "Everything together",
    "pictures": "Picture pairs",
    "subject": "People",
    "brains": "Pairs of brains",
}


def write_site(
    files: Iterable[str | os.PathLike], shown: Sequence[Mapping[str, Any]], *, out: str | os.PathLike
) -> None:
    """Write the site of what the rules mark with ``report(...)``.

    Parameters
    ----------
    files : figures (SVG, some with a PDF beside it), pages (HTML) and tables (CSV), below the results.
    shown : see `plan_report.list_shown`.
    out : the folder to write, in that of results; ``index.html`` is the first page.

    Raises
    ------
    InputError
        When a page is none of ours, or the disk is full.
    """
    shown_files = [Path(file) for file in files if not str(file).endswith(".pdf")]
    pages = divide_into_pages(find_items(shown_files, shown, results=Path(out).parent))
    with atomic_path(out) as folder:
        folder.mkdir()
        (folder / "style.css").write_text(SITE_STYLE, encoding="utf-8")
        for number in range(len(pages)):
            text = _write_page(number, pages, folder)
            (folder / pages[number].name).write_text(text, encoding="utf-8")


def _write_page(number: int, pages: Sequence[SitePage], folder: Path) -> str:
    own = pages[number]
    menu = _menu(own, pages)
    addresses = {without_number(category): page.name for category, page in menu.items() if page is not own}
    links = {category: page.name for category, page in menu.items()}
    parts = []
    for item in own.items:
        section = make_section(item, folder=folder)
        caption = caption_html(item.caption, wildcards=item.wildcards, links=links)
        content = link_pages(section.content, addresses)
        parts.append(Part(section.anchor, section.heading, Markup(content), caption))
    is_index = own.name == INDEX
    if is_index:
        parts = [_with_linked_brains(part, pages) for part in parts]
    siblings = [page for page in pages if page.category == own.category]
    siblings = siblings if len(siblings) <= MOST_SIBLINGS else []
    before, after = (
        Link(pages[place].name, pages[place].title) if 0 <= place < len(pages) else None
        for place in (number - 1, number + 1)
    )
    return site_page(
        parts[0].heading if len(parts) == 1 and not own.subject else own.title,
        parts,
        menu=[Link(page.name, without_number(name), page is own) for name, page in menu.items()],
        siblings=[Link(page.name, page.subject or "all", page is own) for page in siblings],
        subject=own.subject or "all",
        before=before,
        after=after,
        lead=_map(pages) if is_index else Markup(),
    )


def _menu(own: SitePage, pages: Sequence[SitePage]) -> dict[str, SitePage]:
    """Find a page of each category: of the same subject where there is one, else the first."""
    menu: dict[str, SitePage] = {}
    for page in pages:
        is_near = page.subject == own.subject and page.kind == own.kind
        if page.category not in menu or is_near:
            menu[page.category] = page
    return menu


def _with_linked_brains(part: Part, pages: Sequence[SitePage]) -> Part:
    """Let the names of brains in the overview's table lead to their scores."""
    content = str(part.content)
    for page in pages:
        if page.kind == "brains" and page.category.endswith("Scores"):
            name = escape(page.subject.replace(" × ", "_"))
            content = content.replace(f"<td>{name}</td>", f'<td><a href="{page.name}">{name}</a></td>')
    return part._replace(content=Markup(content))


def _map(pages: Sequence[SitePage]) -> Markup:
    """List links to every page, for the first one."""
    kinds = []
    for kind, heading in KINDS.items():
        subjects: dict[str, list[Link]] = {}
        for page in pages:
            if page.kind == kind and page.name != INDEX:
                link = Link(page.name, without_number(page.category))
                subjects.setdefault(page.subject, []).append(link)
        if subjects:
            rows = [{"subject": subject, "links": links} for subject, links in subjects.items()]
            kinds.append({"heading": heading, "rows": rows})
    return site_map(kinds)
