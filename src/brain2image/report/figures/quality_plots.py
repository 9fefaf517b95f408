"""Figures of the measured data: what `brain2image.quality` found, drawn.

A function takes the dict that `inspect_eeg` or `inspect_fmri` returned, and nothing else: a figure shows what
the JSON file holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import LogLocator, NullLocator

from brain2image.report.figures.style import PALETTE, RED

WRONG = RED
AMPLITUDES = {"uV": "µV", "whitened": "whitened, no unit"}
POWERS = {"uV": "dB re 1 µV²/Hz", "whitened": "dB re 1/Hz, whitened"}
BAND = 75  # Hz, where the filter of raw recordings begins to fall by default; the figure ends soon below
# Pictures, what is averaged, and the label of each histogram.
CEILINGS = (
    ("all", "single", "one trial, all pictures"),
    ("all", "mean", "mean of trials, all pictures"),
    ("shared1000", "mean", "mean of trials, shared pictures"),
)
PARTITIONS = {"train": "training pictures", "test": "test pictures"}


def _colours(regions: Iterable[str]) -> dict[str, str]:
    return dict(zip(regions, PALETTE, strict=False))


def plot_eeg_quality(quality: Mapping[str, Any]) -> dict[str, Figure]:
    """Draw what `inspect_eeg` found: the figures ``channels``, ``spectra`` and ``responses``."""
    return {
        "channels": plot_channels(quality),
        "spectra": plot_spectra(quality),
        "responses": plot_responses(quality),
    }


def plot_channels(quality: Mapping[str, Any]) -> Figure:
    """Draw the amplitude of each channel with its trials' range, above counts of trials and what was lost."""
    figure = plt.figure(figsize=(9, 5))
    grid = figure.add_gridspec(2, 3, height_ratios=(3, 2))
    _plot_amplitudes(figure.add_subplot(grid[0, :]), quality)
    counts = quality["trials"]
    _plot_sessions(figure.add_subplot(grid[1, 0]), counts)
    for column, ((name, label), colour) in enumerate(zip(PARTITIONS.items(), PALETTE, strict=False), start=1):
        panel = figure.add_subplot(grid[1, column])
        _plot_repetitions(panel, counts[name]["repetitions"], colour=colour)
        panel.set_title(
            f"{counts[name]['n_images']:,} {label}, {counts[name]['n_trials']:,} trials", fontsize=8
        )
    figure.supxlabel("\n".join(quality["notes"]), fontsize=7.5, color=WRONG, x=0.01, ha="left")
    return figure


def _plot_amplitudes(panel: Axes, quality: Mapping[str, Any]) -> None:
    channels, (least, most) = quality["channels"], quality["expected"]
    colours = _colours(quality["spectra"]["regions"])
    edges = least / 2, most * 2  # a dead channel would stretch the axis without end
    panel.axhspan(least, most, color="0.94", zorder=0, label="expected")
    for x, channel in enumerate(channels):
        is_made = channel["name"] in quality["interpolated"]
        colour = WRONG if channel["flags"] else "0.6" if is_made else colours[channel["region"]]
        low, rms, high = np.clip([channel[key] for key in ("low", "rms", "high")], *edges)
        panel.plot([x, x], [low, high], color=colour, linewidth=3, alpha=0.35)
        panel.plot(x, rms, "X" if channel["flags"] else "o", color=colour, markersize=5)
        end, side = (edges[1], "top") if rms < np.sqrt(least * most) else (edges[0], "bottom")
        flags = ", ".join(channel["flags"])
        panel.text(x, end, flags, fontsize=7, color=colour, rotation=90, ha="center", va=side)
    for region, colour in colours.items():
        panel.plot([], [], "o", color=colour, markersize=5, label=region)
    if quality["flagged"]:
        panel.plot([], [], "X", color=WRONG, markersize=5, label="flagged")
    if quality["interpolated"]:
        panel.plot([], [], "o", color="0.6", markersize=5, label="interpolated")
    panel.set(xlim=(-0.8, len(channels) - 0.2), yscale="log", ylim=(edges[0] / 1.2, edges[1] * 1.2))
    panel.set_ylabel(f"root mean square\n({AMPLITUDES[quality['unit']]})")
    panel.set_xticks(
        range(len(channels)), [channel["name"] for channel in channels], rotation=90, fontsize=6.5
    )
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_locator(NullLocator())
    panel.legend(fontsize=7, ncols=8, loc="lower center", bbox_to_anchor=(0.5, 1))


def _plot_sessions(panel: Axes, counts: Mapping[str, Any]) -> None:
    """Draw the trials of each session, of both partitions on top of each other."""
    trials = pd.DataFrame(
        {
            name: pd.Series(counts[name]["sessions"] or {"unknown": counts[name]["n_trials"]})
            for name in PARTITIONS
        }
    ).fillna(0)
    below = trials.cumsum(axis=1) - trials
    for (name, label), colour in zip(PARTITIONS.items(), PALETTE, strict=False):
        panel.bar(range(len(trials)), trials[name], bottom=below[name], color=colour, label=label)
    panel.set_xticks(range(len(trials)), trials.index)
    panel.set(xlabel="session", ylabel="trials", ylim=(0, 1.35 * trials.sum(axis=1).max()))
    panel.legend(fontsize=7, loc="upper center", ncols=2)


def _plot_repetitions(panel: Axes, repetitions: Mapping[str, int], *, colour: str) -> None:
    """Draw the pictures by their number of trials."""
    bars = panel.bar(range(len(repetitions)), list(repetitions.values()), color=colour, width=0.6)
    panel.bar_label(bars, fmt="{:,.0f}", fontsize=7)
    panel.set_xticks(range(len(repetitions)), repetitions)
    panel.set(xlabel="trials of a picture", ylabel="pictures", xlim=(-1, len(repetitions)))
    panel.margins(y=0.15)


def plot_spectra(quality: Mapping[str, Any]) -> Figure:
    """Draw the power density of each region's median channel, and where 90 % of all channels lie."""
    spectra = quality["spectra"]
    frequency = np.array(spectra["frequency"])
    figure, panel = plt.subplots(figsize=(6.5, 3.6))
    panel.fill_between(
        frequency, spectra["low"], spectra["high"], color="0.88", linewidth=0, label="90 % of channels"
    )
    for region, colour in _colours(spectra["regions"]).items():
        panel.plot(frequency, spectra["regions"][region], color=colour, linewidth=1.3, label=region)
    if mains := quality.get("mains"):
        panel.axvline(mains, color="0.4", linestyle=":", linewidth=1, label=f"mains, {mains:g} Hz")
    panel.set(xscale="log", xlim=(frequency[0], frequency[-1]), xlabel="frequency (Hz)")
    panel.set_ylabel(f"power density ({POWERS[quality['unit']]})")
    panel.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_ylim(np.array(spectra["low"])[frequency <= BAND].min() - 5, None)
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def plot_responses(quality: Mapping[str, Any]) -> Figure:
    """Draw the mean response by region and on the head, and how reliably pictures differ in it."""
    figure = plt.figure(figsize=(8.5, 7.5))
    grid = figure.add_gridspec(3, 1, height_ratios=(3, 2.2, 3))
    responses, unit = quality["responses"], AMPLITUDES[quality["unit"]]
    milliseconds = 1000 * np.array(responses["times"])
    panel = figure.add_subplot(grid[0])
    _plot_courses(panel, milliseconds, responses["regions"], soa=quality.get("soa"))
    panel.set(ylabel=f"mean response ({unit})", title=f"mean of {responses['n_images']:,} pictures")
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    sound = [channel["name"] for channel in quality["channels"] if not channel["flags"]]
    sound = sound or [channel["name"] for channel in quality["channels"]]
    maps = {
        time: np.array([values[name] for name in sound]) for time, values in responses["topographies"].items()
    }
    _plot_topographies(figure, grid[1], maps, names=sound, unit=unit)
    panels = grid[2].subgridspec(1, 2).subplots(sharey=True, squeeze=False)[0]
    for panel, (name, label) in zip(panels, PARTITIONS.items(), strict=True):
        _plot_reliability(panel, quality["reliability"][name], label=label, soa=quality.get("soa"))
    panels[0].set_ylabel("reliability of a picture's\nmean (all its trials)")
    return figure


def _plot_courses(
    panel: Axes, milliseconds: np.ndarray, courses: Mapping[str, Mapping[str, Any]], *, soa: float | None
) -> None:
    """Draw mean responses, and when the next pictures came, ``soa`` s from one to the next."""
    for onset in np.arange(1000 * soa, milliseconds[-1], 1000 * soa) if soa else ():
        panel.axvline(onset, color="0.85", linewidth=0.8, zorder=0)
    panel.axhline(0, color="0.5", linewidth=0.6, zorder=0)
    for region, colour in _colours(courses).items():
        curve = courses[region]
        panel.fill_between(milliseconds, curve["low"], curve["high"], color=colour, alpha=0.25, linewidth=0)
        panel.plot(milliseconds, curve["mean"], color=colour, linewidth=1.3, label=region)
    panel.set(xlim=(milliseconds[0], milliseconds[-1]), xlabel="time after onset (ms)")


def _plot_topographies(
    figure: Figure, place: SubplotSpec, maps: Mapping[str, np.ndarray], *, names: list[str], unit: str
) -> None:
    import mne

    panels = place.subgridspec(1, len(maps)).subplots(squeeze=False)[0]
    info = mne.create_info(names, 1.0, "eeg")
    # MNE 1.13 renames the template; 1.14 drops the old name.
    template = {"colin27_1005", "standard_1005"}.intersection(mne.channels.get_builtin_montages())
    info.set_montage(min(template))
    limit = max(np.abs(values).max() for values in maps.values())
    for panel, (time, values) in zip(panels, maps.items(), strict=True):
        image, _ = mne.viz.plot_topomap(
            values,
            info,
            axes=panel,
            show=False,
            cmap="RdBu_r",
            vlim=(-limit, limit),
            contours=0,
            sensors=panel is panels[0],  # once, as they are most of the file
        )
        panel.set_title(f"{1000 * float(time):.0f} ms", fontsize=8)
    figure.colorbar(image, ax=panels, shrink=0.8, label=unit)


def _plot_reliability(
    panel: Axes, reliability: Mapping[str, Any] | None, *, label: str, soa: float | None
) -> None:
    if reliability is None:
        panel.set_axis_off()
        panel.text(0.5, 0.5, f"fewer than 3 {label} were shown twice:\nno reliability", ha="center")
        return
    _plot_courses(panel, 1000 * np.array(reliability["times"]), reliability["regions"], soa=soa)
    panel.set(ylim=(-0.5, 1), title=f"{reliability['n_images']:,} {label}")


def plot_noise_ceilings(quality: Mapping[str, Any]) -> Figure:
    """Draw repetitions of the pictures, and noise ceilings of the voxels and of their embedding."""
    figure, panels = plt.subplots(1, 3, figsize=(10, 3.6), width_ratios=(1, 2, 2))
    trials = quality["trials"]
    _plot_repetitions(panels[0], trials["repetitions"], colour=PALETTE[0])
    sessions = "" if trials["n_sessions"] is None else f"\nsessions: {trials['n_sessions']}"
    panels[0].set_title(
        f"{trials['n_trials']:,} trials of {trials['n_images']:,} pictures{sessions}", fontsize=8
    )
    columns = {"voxels": "voxels, before the projection", "embedding": "features, after the projection"}
    for panel, (name, label) in zip(panels[1:], columns.items(), strict=True):
        _plot_ceilings(panel, quality[name], bins=quality["bins"])
        panel.set(title=f"{quality[name]['n_columns']:,} {label}", ylabel="share (%)")
    return figure


def _plot_ceilings(panel: Axes, columns: Mapping[str, Any], *, bins: Sequence[float]) -> None:
    """Draw histograms over columns, their medians with intervals, and what columns without signal reach."""
    if columns["all"] is None:
        panel.set_axis_off()
        panel.text(0.5, 0.5, "too few pictures were shown twice:\nno noise ceiling", ha="center")
        return
    for (pictures, average, label), colour in zip(CEILINGS, PALETTE, strict=False):
        if columns[pictures] is None:
            continue
        found = columns[pictures][average]
        median, (low, high) = found["quantiles"]["q50"], found["interval"]
        panel.stairs(
            100 * np.array(found["histogram"]) / sum(found["histogram"]),
            bins,
            color=colour,
            linewidth=1.3,
            label=f"{label}: {median:.1f} ({low:.1f} to {high:.1f})",
        )
        panel.axvline(found["chance"], color=colour, linestyle="--", linewidth=1)
    panel.plot([], [], color="0.3", linestyle="--", linewidth=1, label="5 % without any signal exceed this")
    panel.set(xlim=(0, 100), ylim=(0, None), xlabel="noise ceiling (% of variance)")
    # below the panel, where no line crosses it
    panel.legend(
        fontsize=7,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        title="median (95 % interval)",
        title_fontsize=7,
    )
