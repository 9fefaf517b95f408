"""What all figures share: colours, fonts, and how they are written."""

from collections.abc import Iterable
from itertools import cycle

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

# Okabe & Ito's palette, which people with colour-blindness can tell apart (jfly.uni-koeln.de/color).
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW, BLACK = PALETTE
MARKERS = "os^D"  # for more runs than colours
CHANCE = {"color": "black", "linestyle": "--", "linewidth": 1.2}
plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "brain2image",  # the same figure is the same file
    }
)


def looks(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Colour and marker of each different name, as keywords of ``plot``."""
    styles = cycle([{"color": colour, "marker": marker} for marker in MARKERS for colour in PALETTE])
    return dict(zip(dict.fromkeys(names), styles, strict=False))


def save(figure: Figure, path: str) -> None:
    """Write a figure as SVG without a date, so that the same figure is the same file."""
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
