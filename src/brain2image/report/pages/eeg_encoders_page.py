"""The page that puts the EEG encoders of a config side by side: scores, size, weights, time and memory."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from brain2image.constants.predictors import SEED_SUFFIX
from brain2image.evaluation.summary import headline, over_seeds
from brain2image.formats.tables import read_table
from brain2image.report.headings import METRICS
from brain2image.report.pages.html import heading, note, page, table
from brain2image.report.pages.provenance_pages import duration
from brain2image.report.pages.score_pages import FIELD, FIELD_NOTE, score_cell

SHOWN = ("top1", "mrr")
SHORT, A_LINE = 8, 4  # electrodes that are named, and of these on one line
COST = ["s", "max_rss"]  # of Snakemake's benchmark of a job: its duration, and its peak memory, MB


def encoders_page(
    brains: str,
    summary: pd.DataFrame,
    configs: Mapping[str, Mapping[str, Any]],
    costs: Mapping[str, Mapping[str, float]],
) -> str:
    """Write the page as HTML.

    Parameters
    ----------
    brains : an EEG person and an fMRI subject.
    summary : its rows of the summary table.
    configs : of each training that has an encoder, by the name of its folder, its ``config.json``.
    costs : of these, what `training_costs` found.
    """
    folders: dict[str, list[str]] = {}
    for folder in configs:
        folders.setdefault(folder.partition(SEED_SUFFIX)[0], []).append(folder)
    learned, field = (
        _table(headline(summary, level=level), folders, configs, costs) for level in ("image", "field")
    )
    return page(
        f"Encoders of {brains}",
        "The same pairs and the same test pictures, each run with its own encoder. Each score: ± SD over "
        "seeds where there are several, 95 % interval over concepts, and chance in brackets. Below each run: "
        "its encoder, where its weights began, and the electrodes that it hears.",
        learned,
        *([heading(FIELD), field, note(FIELD_NOTE)] if field else []),
        note(
            "Time and memory are those of the training's whole job, the mean and the largest over seeds, "
            "wherever it ran; on a GPU, memory is the machine's and not the GPU's. They tell encoders apart "
            "where the jobs ran alike. Published tensors: loaded, and left out where there were any."
        ),
    )


def _table(
    rows: pd.DataFrame,
    folders: Mapping[str, Sequence[str]],
    configs: Mapping[str, Mapping[str, Any]],
    costs: Mapping[str, Mapping[str, float]],
) -> str:
    """Write a row a run that has scores here; nothing where none has."""
    scores = over_seeds(rows[rows["metric"].isin(SHOWN)], ["run", "metric"])
    shown = [run for run in folders if run in set(rows["run"])]
    if not shown:
        return ""
    return table(
        (
            "run",
            *(METRICS[metric].heading for metric in SHOWN),
            "encoder's weights",
            "of them learned",
            "tensors published",
            "training",
            "memory, GB",
        ),
        [
            (_name(run, configs[folders[run][0]]), *_row(run, folders[run], scores, configs, costs))
            for run in shown
        ],
    )


def training_costs(configs: Sequence[str | Path], benchmarks: str | Path) -> list[dict[str, float]]:
    """Read how long trainings took, s, and their peak memory, MB; NaN where Snakemake noted nothing.

    Parameters
    ----------
    configs : their ``config.json``, in ``runs/{brains}/{run}/``.
    benchmarks : the folder of Snakemake's benchmarks.
    """
    costs = []
    for config in configs:
        brains, run = Path(config).parts[-3:-1]
        file = Path(benchmarks, "train", brains, f"{run}.tsv")
        values = read_table(file, COST, remedy="delete it").iloc[-1] if file.exists() else {}
        costs.append({name: float(values.get(name, np.nan)) for name in COST})
    return costs


def _name(run: str, config: Mapping[str, Any]) -> Markup:
    model, channels = config["model"], config["model"]["channels"]
    weights = "published weights" if model.get("pretrained") else "random weights"
    frozen = ", frozen" if config["encoder"]["is_frozen"] else ""
    names = [channels] if isinstance(channels, str) else list(channels)
    names = names if len(names) <= SHORT else [f"{len(names)} named"]
    lines = [", ".join(names[start : start + A_LINE]) for start in range(0, len(names), A_LINE)]
    return _lines(run, model["encoder"], f"{weights}{frozen}", f"channels: {lines[0]}", *lines[1:])


def _lines(first: str, *others: str) -> Markup:
    """Write a line, and small ones below it."""
    return Markup("<br>").join([first, *(Markup("<small>{}</small>").format(text) for text in others)])


def _row(
    run: str,
    folders: Sequence[str],
    scores: pd.DataFrame,
    configs: Mapping[str, Mapping[str, Any]],
    costs: Mapping[str, Mapping[str, float]],
) -> Iterator[Markup | str]:
    """Give a run's cells after its name."""
    yield from (score_cell(scores.loc[(run, metric)], METRICS[metric]) for metric in SHOWN)
    record = configs[folders[0]]["encoder"]
    left_out = sum(record["tensors_left_out"].values())
    yield f"{record['n_parameters']:,}"
    yield f"{record['n_learned']:,}"
    yield _lines(f"{record['tensors_loaded']}", *([f"{left_out} left out"] if left_out else []))
    seconds, memory = ([costs[folder][name] for folder in folders] for name in COST)
    yield "" if np.isnan(seconds).any() else duration(float(np.mean(seconds)))
    yield "" if np.isnan(memory).all() else f"{np.nanmax(memory) / 1000:.1f}"
