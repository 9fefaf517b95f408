"""The frame of all pages, and their tables."""

from collections.abc import Iterable, Sequence
from html import escape

from brain2image.report.figures.style import BLUE, GREEN, RED

# All rules hang on the class `page`: the overview also stands within Snakemake's own page.
STYLE = f"""
.page {{ max-width: 62rem; margin: 0 auto; padding: 1.2rem; color: #1a1a1a; background: #fff;
  font: 15px/1.5 system-ui, "Helvetica Neue", Arial, sans-serif; }}
.page h1 {{ font-size: 1.5rem; line-height: 1.25; margin: 0 0 0.8rem; }}
.page h2 {{ font-size: 1.1rem; margin: 1.6rem 0 0.5rem; }}
.page p {{ margin: 0.4rem 0; max-width: 46rem; }}
.page .box {{ border-left: 4px solid {BLUE}; background: #f2f6fa; padding: 0.5rem 1rem; margin: 0.8rem 0; }}
.page table {{ border-collapse: collapse; margin: 0.6rem 0; font-size: 0.87rem; }}
.page th, .page td {{ text-align: left; vertical-align: top; padding: 0.25rem 0.8rem 0.25rem 0;
  border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }}
.page td {{ overflow-wrap: anywhere; }}
.page td:first-child {{ white-space: nowrap; }}
.page td small {{ white-space: nowrap; color: #555; font-size: 0.78em; }}
.page th {{ border-bottom: 1.5px solid #555; }}
.page svg {{ max-width: 100%; height: auto; }}
.page .good {{ color: {GREEN}; font-weight: 600; }}
.page .bad {{ color: {RED}; font-weight: 600; }}
.page .note {{ color: #555; font-size: 0.87rem; }}
.page .bar {{ display: block; height: 0.7rem; margin-top: 0.3rem; background: {BLUE}; }}
"""


class Markup(str):
    """Text that is HTML already."""


def page(title: str, *parts: str) -> str:
    """Write a whole page: it needs no other file and no network.

    Parameters
    ----------
    title : heading of the page.
    parts : `Markup`; plain strings are escaped and become paragraphs.
    """
    body = "\n".join(_paragraph(part) for part in parts)
    return (
        f'<!doctype html>\n<meta charset="utf-8">\n<style>{STYLE}</style>\n'
        f'<article class="page">\n<h1>{escape(title)}</h1>\n{body}\n</article>\n'
    )


def heading(text: str) -> Markup:
    """Write the heading of a part of a page."""
    return Markup(f"<h2>{escape(text)}</h2>")


def box(*sentences: str) -> Markup:
    """Write sentences that stand out, a paragraph each."""
    return Markup(f'<div class="box">{"".join(_paragraph(sentence) for sentence in sentences)}</div>')


def note(text: str) -> Markup:
    """Write a small explanation."""
    return Markup(f'<p class="note">{escape(text)}</p>')


def verdict(text: str, *, is_good: bool) -> Markup:
    """Write a word in the colour of good or bad news."""
    return Markup(f'<span class="{"good" if is_good else "bad"}">{escape(text)}</span>')


def bar(share: float) -> Markup:
    """Draw a bar of at most 10 rem, for a share of 0 to 1."""
    return Markup(f'<span class="bar" style="width: {10 * share:.2f}rem"></span>')


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Write a table; cells are escaped unless they are `Markup`."""
    lines = ["".join(f"<td>{_inline(cell)}</td>" for cell in row) for row in rows]
    header = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return Markup(f"<table>\n<thead><tr>{header}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>")


def _inline(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)


def _paragraph(text: str) -> str:
    return text if isinstance(text, Markup) else f"<p>{escape(text)}</p>"
