"""Parts of the site's pages, of what stands in the results as whole pages, figures and tables."""

import base64
import hashlib
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from brain2image.core.errors import InputError
from brain2image.report.site.shown_files import Item, without_number
from brain2image.report.site.table_files import tables_as_csv

ARTICLE = re.compile(r'<article class="page">(.*)</article>', re.DOTALL)
# Only what our own markup holds: in a user's text the quotes are escaped.
PHOTO = re.compile(r'((?:xlink:href|src)=")data:image/(jpeg|png);base64,([A-Za-z0-9+/=\s]+)"')
PICTURES, FIGURES, TABLES = "pictures", "figures", "tables"
ZIPPED_FROM = 500_000  # bytes of a table


class Section(NamedTuple):
    """A part of a page.

    Attributes
    ----------
    anchor, heading : its address on the page, and its name.
    content : HTML.
    """

    anchor: str
    heading: str
    content: Markup


def make_section(item: Item, *, folder: Path) -> Section:
    """Turn a file of the results into a part of a page; figures, photographs and tables are put beside it.

    Parameters
    ----------
    item : the file and what it shows.
    folder : of the site.

    Raises
    ------
    InputError
        When a page of the results is none of ours.
    """
    heading = without_number(item.title)
    anchor = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")
    name = "-".join([*filter(None, re.split(r"[^A-Za-z0-9_]+", item.subject)), item.file.stem])
    if item.file.suffix == ".html":
        return _from_page(item, anchor, name, folder)
    show = {".svg": _from_figure, ".csv": _from_table}[item.file.suffix]
    capital = heading if heading[1:2].isupper() else heading[0].upper() + heading[1:]
    return Section(anchor, capital, show(item, heading, name, folder))


def _from_page(item: Item, anchor: str, name: str, folder: Path) -> Section:
    """Take the article out of a page; its title becomes the heading, its tables can be downloaded."""
    found = ARTICLE.search(item.file.read_text(encoding="utf-8"))
    if not found:
        raise InputError(f"{item.file}: expected a page of the report, got another; delete it")
    title, _, body = found[1].partition("</h1>")
    heading = Markup(title.partition("<h1>")[2]).unescape()
    body = re.sub(r"<(/?)h2>", r"<\1h3>", _photos_apart(body, folder))
    tables = iter(enumerate(tables_as_csv(body), start=1))

    def with_download(table: re.Match[str]) -> str:
        number, text = next(tables)
        address = _keep_table(f"{name}-{number}.csv", text, folder)
        return f'<div class="table">{table[0]}{_download(address, "CSV")}</div>'

    return Section(
        anchor, heading, Markup(re.sub(r"<table>.*?</table>", with_download, body, flags=re.DOTALL))
    )


def _from_figure(item: Item, heading: str, name: str, folder: Path) -> Markup:
    """Show a figure; one of photographs stands in the page itself, so that pages share the photographs."""
    text = item.file.read_text(encoding="utf-8")
    svg = text[text.index("<svg") :]
    if PHOTO.search(svg):
        return Markup(_photos_apart(svg, folder))
    address = f"{FIGURES}/{name}.svg"
    _keep(folder / address, text.encode())
    figure = Markup('<a href="{0}" title="the figure alone"><img src="{0}" alt="{1}" loading="lazy"></a>')
    return figure.format(address, heading) + _for_print(item.file.with_suffix(".pdf"), name, folder)


def _for_print(file: Path, name: str, folder: Path) -> Markup:
    """Put the PDF that lies beside some figures beside this one."""
    if not file.exists():
        return Markup()
    address = f"{FIGURES}/{name}.pdf"
    _keep(folder / address, file.read_bytes())
    return Markup("<p>{}</p>").format(_download(address, "PDF"))


def _from_table(item: Item, heading: str, name: str, folder: Path) -> Markup:
    text = item.file.read_text(encoding="utf-8")
    address = _keep_table(f"{name}.csv", text, folder)
    columns, n_rows = text.partition("\n")[0].replace(",", ", "), text.count("\n") - 1
    return Markup("<p>{} {:,} rows; columns: {}.</p>").format(
        _download(address, address.partition("/")[2]), n_rows, columns
    )


def _keep_table(name: str, text: str, folder: Path) -> str:
    """Write a table into the site, a large one zipped, and return its address."""
    path = folder / TABLES / name
    if len(text) < ZIPPED_FROM:
        _keep(path, text.encode())
        return f"{TABLES}/{name}"
    path.parent.mkdir(exist_ok=True)
    # the same table is the same file: no time in it
    entry = zipfile.ZipInfo(name)
    with zipfile.ZipFile(path.with_suffix(".csv.zip"), "w") as archive:
        archive.writestr(entry, text, zipfile.ZIP_DEFLATED, compresslevel=9)
    return f"{TABLES}/{name}.zip"


def _download(address: str, label: str) -> Markup:
    return Markup('<a class="download" href="{}" download>{}</a>').format(address, label)


def _photos_apart(html: str, folder: Path) -> str:
    """Put photographs into files of their own, so that one that many pages show is there once."""

    def apart(found: re.Match[str]) -> str:
        content = base64.b64decode(found[3])
        address = f"{PICTURES}/{hashlib.sha256(content).hexdigest()[:12]}.{found[2]}"
        path = folder / address
        if not path.exists():
            _keep(path, content)
        return f'{found[1]}{address}"'

    return PHOTO.sub(apart, html)


def _keep(path: Path, content: bytes) -> None:
    """Write a file; the site as a whole is written atomically."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def link_pages(html: str, links: Mapping[str, str]) -> str:
    """Make links of the words ``page Leak audit`` and the like.

    Parameters
    ----------
    html : the text.
    links : address of each page, by its category without number.
    """
    names = "|".join(map(re.escape, links))
    return re.sub(
        rf"\b(pages? |see )({names})\b",
        lambda found: f'{found[1]}<a href="{links[found[2]]}">{found[2]}</a>',
        html,
    )
