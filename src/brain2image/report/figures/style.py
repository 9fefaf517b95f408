"""What all figures share: colours, fonts, and how they are written."""

import base64
import io
import os
import re
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from itertools import cycle
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from brain2image.core.atomic import atomic_path
from brain2image.formats.files import write_text

# Okabe & Ito's palette, which people with colour-blindness can tell apart (jfly.uni-koeln.de/color).
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
BLUE, ORANGE, GREEN, PINK, _, RED, _, BLACK = PALETTE
JPEG_QUALITY = 80
# In an SVG: what is not seen, attributes that are places, and the look of an element.
UNSEEN = re.compile(
    r'\s*<!--.*?-->|<metadata>.*?</metadata>\s*|(?<=<g) id="[\w.]+"| transform="rotate\(-?0 [-\d. ]+\)"',
    re.DOTALL,
)
LOOK = re.compile(r' style="([^"<>]*)"')
PLACES = re.compile(r'(?<=[ \n])(?:d|points|transform|x|y|x1|x2|y1|y2)="[^"]*"')
DIGITS = re.compile(r"(\d\d\.\d|(?<!\d)\d\.\d\d)\d+")  # of small numbers, as markers have, two are kept
IMAGE = re.compile(r'<image xlink:href="data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)"([^>]*?)/>')
SCALED = re.compile(
    r'width="([\d.]+)" height="([\d.]+)" transform="matrix\(([\d.]+) 0 0 ([\d.]+) ([\d.]+) ([\d.]+)\)"'
)
MARKERS = "os^D"  # for more runs than colours
CHANCE: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 1.2}
plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "font.size": 9,
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],  # each text names them
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "svg.fonttype": "none",
        "pdf.fonttype": 42,  # text that can be edited
        "svg.hashsalt": "brain2image",  # the same figure is the same file
    }
)


def looks(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Give each different name a colour and a marker, as keywords of ``plot``."""
    styles = cycle([{"color": colour, "marker": marker} for marker in MARKERS for colour in PALETTE])
    return dict(zip(dict.fromkeys(names), styles, strict=False))


def save(figure: Figure, path: str | os.PathLike) -> None:
    """Write a figure as SVG, see `to_svg`, atomically."""
    write_text(path, to_svg(figure))


def save_pdf(figure: Figure, path: str | os.PathLike) -> None:
    """Write a figure as PDF, atomically and without a date; it stays open."""
    with atomic_path(path) as scratch:
        figure.savefig(scratch, format="pdf", metadata={"CreationDate": None})


def to_svg(figure: Figure) -> str:
    """Turn a figure into SVG, photographs in it as JPEG, without a date: the same figure is the same text."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    plt.close(figure)
    return _slim(IMAGE.sub(_smaller, text.getvalue()))


def _slim(svg: str) -> str:
    """Leave out what no eye sees: comments, names of parts, digits below 0.1 points, looks said twice."""
    svg = re.sub(r' id="image\w+"', "", UNSEEN.sub("", svg))
    svg = PLACES.sub(lambda found: DIGITS.sub(r"\1", re.sub(r"\s+", " ", found[0])), svg)
    svg = _without_plain_groups(re.sub(r"\n\s*", " ", svg).replace("> <", "><"))
    counts = Counter(LOOK.findall(svg))
    names = {look: f"s{sha256(look.encode()).hexdigest()[:5]}" for look, n in counts.items() if n > 2}
    svg = LOOK.sub(lambda found: f' class="{names[found[1]]}"' if found[1] in names else found[0], svg)
    rules = "".join(f".{name}{{{look}}}" for look, name in names.items())
    return svg.replace("</style>", f"{rules}</style>", 1)


def _without_plain_groups(svg: str) -> str:
    """Take the tags of groups away that say nothing of what is in them."""
    plain: list[bool] = []  # of the groups that are open

    def shorter(found: re.Match[str]) -> str:
        closes, attributes, closes_at_once = found.groups()
        is_plain = plain.pop() if closes else not attributes.strip()
        if not closes and not closes_at_once:
            plain.append(is_plain)
        return "" if is_plain else found[0]

    return re.sub(r"<(/?)g\b([^>]*?)(/?)>\n?", shorter, svg)


def _smaller(image: re.Match[str]) -> str:
    """Turn a PNG into JPEG where that takes less than half, which is so for photographs alone.

    A photograph is smoothed where it is shown smaller than it is, and its place is said in few words.
    """
    png = base64.b64decode(image[1])
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(jpeg, "JPEG", quality=JPEG_QUALITY)
    if 2 * jpeg.tell() > len(png):
        return image[0]
    content = base64.b64encode(jpeg.getvalue()).decode()
    attributes = SCALED.sub(_place, LOOK.sub("", image[2]))
    return f'<image xlink:href="data:image/jpeg;base64,{content}"{attributes}/>'


def _place(scaled: re.Match[str]) -> str:
    width, height, across, down, x, y = map(float, scaled.groups())
    return f'x="{x:.1f}" y="{y:.1f}" width="{across * width:.4g}" height="{down * height:.4g}"'
