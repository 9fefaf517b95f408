"""Curves of the training."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from brain2image.constants.predictors import SEED_SUFFIX
from brain2image.report.figures.style import CHANCE, looks


def plot_training(histories: Mapping[str, pd.DataFrame], *, n_val: int) -> Figure:
    """Draw loss and validation retrieval over epochs, a colour a run; the seeds of a run share it.

    Parameters
    ----------
    histories : of each training: ``epoch, train_loss, val_loss, val_top1``.
    n_val : number of validation pairs, for the chance of finding one.
    """
    figure, (losses, retrieval) = plt.subplots(1, 2, figsize=(9.5, 3.4))
    style = looks(name.partition(SEED_SUFFIX)[0] for name in histories)
    for name, history in histories.items():
        run, suffix, _ = name.partition(SEED_SUFFIX)
        colour = style[run]["color"]
        losses.plot(history["epoch"], history["train_loss"], color=colour, linestyle=":")
        losses.plot(history["epoch"], history["val_loss"], color=colour)
        retrieval.plot(
            history["epoch"], 100 * history["val_top1"], color=colour, label=None if suffix else run
        )
        best = history["val_loss"].idxmin()
        losses.plot(history["epoch"][best], history["val_loss"][best], "o", color=colour)
        retrieval.plot(history["epoch"][best], 100 * history["val_top1"][best], "o", color=colour)
    losses.plot([], [], color="0.3", linestyle=":", label="training")
    losses.plot([], [], color="0.3", label="validation")
    losses.plot([], [], "o", color="0.3", label="epoch that is kept")
    retrieval.axhline(100 / n_val, label="chance", **CHANCE)
    losses.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    retrieval.set(xlabel="epoch", ylabel=f"top-1 among {n_val} validation pictures (%)", ylim=(0, None))
    for panel in (losses, retrieval):
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside right center")
    return figure
