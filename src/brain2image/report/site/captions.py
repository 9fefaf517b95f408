"""Captions: templates of reStructuredText, for Snakemake's report and for the pages alike."""

import re
from collections.abc import Mapping
from types import SimpleNamespace

from markupsafe import Markup


def caption_html(text: str, *, wildcards: Mapping[str, str], links: Mapping[str, str]) -> Markup:
    """Turn a caption into paragraphs of HTML.

    Parameters
    ----------
    text : may name ``snakemake.wildcards``, as Snakemake fills them in, and link to a category of the menu
        (```2 Pairs`_``).
    wildcards : of the file that it explains.
    links : address of each category; of one that is not there the words stay.
    """
    from docutils.core import publish_parts
    from jinja2 import Environment, StrictUndefined

    template = Environment(undefined=StrictUndefined).from_string(text)
    filled = template.render(snakemake=SimpleNamespace(wildcards=SimpleNamespace(**wildcards)))
    named = set(re.findall(r"`([^`]+)`_", filled))
    filled = re.sub(r"`([^`]+)`_", lambda found: found[0] if found[1] in links else found[1], filled)
    targets = [f".. _{name}: {links[name]}" for name in sorted(named & set(links))]
    options = {"file_insertion_enabled": False, "raw_enabled": False, "report_level": 5, "halt_level": 5}
    body = publish_parts("\n".join([filled, "", *targets]), writer="html5", settings_overrides=options)[
        "body"
    ]
    # a category's number orders Snakemake's menu and is no part of its name
    return Markup(re.sub(r">\d ([^<]+)</a>", r">\1</a>", str(body)))
