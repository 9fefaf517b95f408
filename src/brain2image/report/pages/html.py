"""The frame of all pages, and their tables. Whatever is no `Markup` is escaped."""

import re
from collections.abc import Iterable, Sequence

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from brain2image.report.figures.style import BLUE, GREEN, RED

# All rules hang on the class `page`: the overview also stands within Snakemake's own page.
STYLE = f"""
.page {{ max-width: 62rem; margin: 0 auto; padding: 1.2rem; color: #1a1a1a; background: #fff;
  font: 15px/1.5 system-ui, "Helvetica Neue", Arial, sans-serif; }}
.page h1 {{ font-size: 1.5rem; line-height: 1.25; margin: 0 0 0.8rem; }}
.page h2 {{ font-size: 1.1rem; margin: 1.6rem 0 0.5rem; }}
.page p {{ margin: 0.4rem 0; max-width: 46rem; }}
.page .box {{ border-left: 4px solid {BLUE}; background: #f2f6fa; padding: 0.5rem 1rem; margin: 0.8rem 0; }}
.page .box p {{ margin: 0.15rem 0; max-width: none; }}
.page table {{ border-collapse: collapse; margin: 0.6rem 0; font-size: 0.87rem; }}
.page th, .page td {{ text-align: left; vertical-align: top; padding: 0.25rem 0.8rem 0.25rem 0;
  border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }}
.page td {{ overflow-wrap: break-word; }}
.page td:first-child {{ white-space: nowrap; }}
@media (max-width: 1000px) {{ .page td:first-child {{ white-space: normal; }} }}
.page td small {{ white-space: nowrap; color: #555; font-size: 0.78em; }}
.page th {{ border-bottom: 1.5px solid #555; }}
.page svg {{ max-width: 100%; height: auto; }}
.page .good {{ color: {GREEN}; font-weight: 600; }}
.page .bad {{ color: {RED}; font-weight: 600; }}
.page .note {{ color: #555; font-size: 0.87rem; }}
.page .bar {{ display: block; height: 0.7rem; margin-top: 0.3rem; background: {BLUE}; }}
"""


# The templates are texts of this module, so that a change of one changes the fingerprint of the pages.
TEMPLATES = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
)
TEMPLATES.filters["paragraph"] = lambda text: (
    text if isinstance(text, Markup) else Markup("<p>{}</p>").format(text)
)
PAGE = TEMPLATES.from_string("""\
<!doctype html>
<meta charset="utf-8">
<style>{{ style }}</style>
<article class="page">
<h1>{{ title }}</h1>
{% for part in parts %}
{{ part | paragraph }}
{% endfor %}
</article>
""")
BOX = TEMPLATES.from_string("""\
<div class="box">{% for sentence in sentences %}{{ sentence | paragraph }}{% endfor %}</div>""")
TABLE = TEMPLATES.from_string("""\
<table>
<thead><tr>{% for column in columns %}<th>{{ column }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>""")


def page(title: str, *parts: str) -> str:
    """Return a whole page: it needs no other file and no network.

    Parameters
    ----------
    title : heading of the page.
    parts : `Markup`; plain strings become paragraphs.
    """
    return PAGE.render(style=Markup(STYLE), title=title, parts=parts)


def heading(text: str) -> Markup:
    """Return the heading of a part of a page."""
    return Markup("<h2>{}</h2>").format(text)


def box(*sentences: str) -> Markup:
    """Return sentences that stand out, a paragraph each."""
    return Markup(BOX.render(sentences=sentences))


def note(text: str) -> Markup:
    """Return a small explanation."""
    return Markup('<p class="note">{}</p>').format(text)


def verdict(text: str, *, is_good: bool) -> Markup:
    """Return a word in the colour of good or bad news."""
    return Markup('<span class="{}">{}</span>').format("good" if is_good else "bad", text)


def breakable(text: str) -> Markup:
    """Return a path, key or hash that may break behind slashes, dots, commas, and after 16 letters."""
    parts = re.split(r"(?<=[/._,:])(?=\S)|(?<=\w{16})(?=\w)", text)
    return Markup("<wbr>").join(parts)


def bar(share: float) -> Markup:
    """Return a bar of at most 10 rem, for a share of 0 to 1."""
    return Markup('<span class="bar" style="width: {:.2f}rem"></span>').format(10 * share)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Return a table of cells that are text or `Markup`."""
    return Markup(TABLE.render(columns=columns, rows=rows))
