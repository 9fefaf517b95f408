"""The frame of the site's pages: menu, sections with their captions, the way to the page before and after."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from brain2image.report.figures.style import BLUE
from brain2image.report.pages.html import STYLE, TEMPLATES

SITE_STYLE = f"""{STYLE}
body {{ margin: 0; background: #fff; }}
a {{ color: {BLUE}; }}
nav {{ font: 15px/1.5 system-ui, "Helvetica Neue", Arial, sans-serif; padding: 0.5rem 1.2rem;
  background: #f2f6fa; border-bottom: 1px solid #ccd6e0; }}
nav ul {{ display: flex; flex-wrap: wrap; gap: 0.1rem 1.1rem; list-style: none; margin: 0 auto; padding: 0;
  max-width: 62rem; }}
nav [aria-current] {{ color: #1a1a1a; font-weight: 600; text-decoration: none; }}
nav details {{ max-width: 62rem; margin: 0.2rem auto 0; }}
nav details ul {{ max-height: 14rem; overflow-y: auto; padding: 0.4rem 0; }}
.page h2 {{ font-size: 1.2rem; margin: 2.2rem 0 0.6rem; padding-top: 0.6rem; border-top: 1px solid #ccd6e0; }}
.page h3 {{ font-size: 1.05rem; margin: 1.4rem 0 0.4rem; }}
.page a > img {{ max-width: 100%; }}
.page .caption {{ color: #444; font-size: 0.9rem; margin: 0.6rem 0; padding-left: 0.8rem;
  border-left: 3px solid #ccd6e0; }}
.page .caption p {{ max-width: 50rem; }}
.page .download {{ font-size: 0.8rem; }}
.page .download::before {{ content: "\\2193\\00a0"; }}
.page .contents {{ margin: 0.6rem 0; padding-left: 1.2rem; }}
.page .turn {{ display: flex; justify-content: space-between; gap: 1rem; margin: 2.5rem 0 1rem;
  padding-top: 0.8rem; border-top: 1px solid #ccd6e0; }}
@media print {{ nav, .turn, .download {{ display: none; }} }}
"""


class Link(NamedTuple):
    """A link, to the page itself where ``is_here``."""

    address: str
    words: str
    is_here: bool = False


class Part(NamedTuple):
    """A section of a page with its caption."""

    anchor: str
    heading: str
    content: Markup
    caption: Markup


FRAME = TEMPLATES.from_string("""\
{% macro links(list) %}
{% for link in list %}
<li><a href="{{ link.address }}"{% if link.is_here %} aria-current="page"{% endif %}>{{ link.words }}</a></li>
{% endfor %}
{% endmacro %}
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<link rel="stylesheet" href="style.css">
<nav><ul>
{{ links(menu) }}
</ul>
{% if siblings|length > 1 %}
<details><summary>{{ subject }}, one of {{ siblings|length }}: choose another</summary><ul>
{{ links(siblings) }}
</ul></details>
{% endif %}
</nav>
<main class="page">
<h1>{{ title }}</h1>
{% if parts|length > 1 and not lead %}
<ul class="contents">
{% for part in parts %}<li><a href="#{{ part.anchor }}">{{ part.heading }}</a></li>{% endfor %}
</ul>
{% endif %}
{% for part in parts %}
<section id="{{ part.anchor }}">
{% if part.heading != title %}<h2>{{ part.heading }}</h2>{% endif %}
{{ part.content }}
<div class="caption">{{ part.caption }}</div>
</section>
{% endfor %}
{{ lead }}
<div class="turn">
<span>{% if before %}<a rel="prev" href="{{ before.address }}">← {{ before.words }}</a>{% endif %}</span>
<span>{% if after %}<a rel="next" href="{{ after.address }}">{{ after.words }} →</a>{% endif %}</span>
</div>
</main>
</html>
""")
MAP = TEMPLATES.from_string("""\
<section id="all-pages"><h2>All pages</h2>
{% for kind in kinds %}
<h3>{{ kind.heading }}</h3>
<table class="map">
{% for row in kind.rows %}
<tr><td>{{ row.subject }}</td><td>{% for link in row.links %}<a href="{{ link.address }}">{{ link.words }}</a>
{% if not loop.last %} · {% endif %}{% endfor %}</td></tr>
{% endfor %}
</table>
{% endfor %}
</section>""")


def site_page(title: str, parts: Sequence[Part], **around: Any) -> str:
    """Return a page of the site.

    Parameters
    ----------
    title : its heading.
    parts : its sections; the one whose heading is the page's has none of its own.
    around : ``menu`` and ``siblings`` (lists of `Link`), ``subject`` of the page, ``before`` and ``after`` (a
        `Link` or None), and ``lead``, markup that closes the page.
    """
    return FRAME.render(title=title, parts=parts, **around)


def site_map(kinds: Sequence[dict[str, Any]]) -> Markup:
    """Return links to all pages, a row a subject.

    Parameters
    ----------
    kinds : dicts of ``heading`` and ``rows``, these dicts of ``subject`` and ``links``.
    """
    return Markup(MAP.render(kinds=kinds))
