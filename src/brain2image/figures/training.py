"""Curves of the training."""

from collections.abc import Mapping
from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from brain2image.figures.style import PALETTE


def plot_training(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Loss and validation retrieval over epochs, a colour a run.

    Parameters
    ----------
    histories : of each run: ``epoch, train_loss, val_loss, val_top1``.
    """
    figure, (losses, retrieval) = plt.subplots(1, 2, figsize=(8, 3.2))
    for colour, (run, history) in zip(cycle(PALETTE), histories.items(), strict=False):
        losses.plot(
            history["epoch"], history["train_loss"], color=colour, linestyle=":", label=f"{run}, training"
        )
        losses.plot(history["epoch"], history["val_loss"], color=colour, label=f"{run}, validation")
        best = history["val_loss"].idxmin()
        losses.plot(history["epoch"][best], history["val_loss"][best], "o", color=colour)
        retrieval.plot(history["epoch"], 100 * history["val_top1"], color=colour, label=run)
        retrieval.plot(history["epoch"][best], 100 * history["val_top1"][best], "o", color=colour)
    losses.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    retrieval.set(xlabel="epoch", ylabel="validation top-1 (%)", ylim=(0, None))
    losses.legend(fontsize=7)
    return figure
