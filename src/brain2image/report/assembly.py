"""The pages of the report, put together from what the workflow wrote."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brain2image.core.manifest import raw_checksums
from brain2image.report.pages.audit_page import audit_page
from brain2image.report.pages.overview_page import overview_page
from brain2image.report.pages.provenance_pages import (
    configuration_page,
    read_benchmarks,
    resources_page,
    versions_page,
)
from brain2image.report.pages.score_pages import bounds_page, scores_page
from brain2image.report.pages.surroundings import describe_place


def make_overview(
    summary: pd.DataFrame,
    comparisons: pd.DataFrame,
    *,
    brains: Sequence[str],
    audits: Sequence[Mapping[str, Any]],
    bounds: Sequence[Mapping[str, Any]],
    is_simulated: bool,
    figure: str,
) -> str:
    """Make the first page of the report.

    Parameters
    ----------
    summary, comparisons : the tables of all brains.
    brains, audits : of everything that was evaluated, its brains and the ``audit`` of its metrics.
    bounds : of each pair of brains, what measure_bounds wrote.
    is_simulated : whether the data are synthetic.
    figure : of `summary_figure.plot_summary`, as SVG.
    """
    by_brains: dict[str, list[Mapping[str, Any]]] = {}
    for own, audit in zip(brains, audits, strict=True):
        by_brains.setdefault(own, []).append(audit)
    return overview_page(
        summary,
        comparisons,
        audits=by_brains,
        bounds=dict(zip(by_brains, bounds, strict=True)),
        is_simulated=is_simulated,
        figure=figure,
    )


def make_tables(
    summary: pd.DataFrame,
    *,
    brains: str,
    bounds: Mapping[str, Any],
    audits: Mapping[str, Mapping[str, Any]],
    confusions: Mapping[str, Sequence[Sequence[int]]],
    query_effects: Mapping[str, float],
    is_decoded: bool,
) -> dict[str, str]:
    """Make the pages ``scores``, ``bounds`` and ``audit`` of one pair of brains.

    Parameters
    ----------
    summary : the table of all brains.
    brains : those of the pages.
    bounds : what measure_bounds wrote.
    audits, query_effects, is_decoded : see `audit_page.audit_page`.
    confusions : see `score_pages.scores_page`.
    """
    return {
        "scores": scores_page(brains, summary[summary["brains"] == brains], confusions),
        "bounds": bounds_page(brains, bounds, is_exact=next(iter(audits.values()))["split"]["is_exact"]),
        "audit": audit_page(brains, audits, query_effects, is_decoded=is_decoded),
    }


def make_provenance(facts: Mapping[str, Any], trainings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Make the pages ``configuration``, ``versions`` and ``resources``.

    Parameters
    ----------
    facts : ``settings`` and ``runs`` (see `listing.list_settings` and `listing.list_runs`), ``benchmarks`` (a
        folder), ``names`` (in its files), ``fingerprints`` (of each rule).
    trainings : of each, ``versions`` of the libraries and ``device``, as it has noted them.
    """
    folder = Path(facts["benchmarks"])
    benchmarks = read_benchmarks(folder, rules=facts["fingerprints"], names=facts["names"])
    return {
        "configuration": configuration_page(facts["settings"], facts["runs"]),
        "versions": versions_page(
            trainings,
            facts["fingerprints"],
            place=describe_place(),
            checksums=raw_checksums(str(folder.parent)),
        ),
        "resources": resources_page(benchmarks),
    }
