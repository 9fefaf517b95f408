"""How well the picture encoder predicts each feature of the embedding."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from brain2image.report.figures.style import BLUE, ORANGE


def plot_encoder(quality: Mapping[str, Any], ceilings: Mapping[str, float]) -> Figure:
    """Draw the histogram of R2 over features, with the median noise ceiling of each person's fMRI.

    Parameters
    ----------
    quality : what `picture_fitting.fit_picture_encoder` found.
    ceilings : median over features, % of variance, by person.
    """
    figure, panel = plt.subplots(figsize=(6, 2.8))
    bins = np.array(quality["bins"])
    panel.stairs(quality["r2_histogram"], bins, fill=True, color=BLUE, alpha=0.7, label="predicted")
    panel.axvline(quality["r2_quantiles"]["q50"], color=BLUE, label="median")
    for number, (subject, ceiling) in enumerate(ceilings.items()):
        panel.axvline(
            ceiling, color=ORANGE, linestyle="--", label="median noise ceiling" if number == 0 else None
        )
        panel.text(ceiling, 1.01, subject, transform=panel.get_xaxis_transform(), fontsize=7, ha="center")
    panel.set(xlabel="explained variance of unseen pictures, %", ylabel="features", xlim=bins[[0, -1]])
    figure.legend(loc="outside lower center", ncols=3)
    return figure
