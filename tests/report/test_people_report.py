"""The figure and the table of several people show the numbers that were computed by hand."""

import re
from types import SimpleNamespace

import pandas as pd
import pytest
from helpers.people_tables import BRAINS, results, scores_of
from helpers.report_tables import comparisons
from helpers.scripts import run_script
from matplotlib.colors import to_hex

from brain2image.evaluation.summary import summarise
from brain2image.formats.files import write_csv, write_json
from brain2image.report.figures.people_plots import plot_people
from brain2image.report.figures.style import BLUE, GREEN, ORANGE, to_svg
from brain2image.report.figures.summary_figure import plot_summary
from brain2image.report.pages.people_page import COLUMNS, people_page

ONE, TWO, THREE, ALL = ([1] * n + [0] * (4 - n) for n in (1, 2, 3, 4))
# brains 1 and 2; of the network the mean of two seeds: 37.5 and 50 %
FOUND = {"net": [[ONE, TWO], [TWO, TWO]], "ridge": [[ONE], [TWO]]}
CURVE = FOUND | {
    "net_others": [[ONE, ONE], [ONE, TWO]],
    "net_others_cal-8": [[ONE, TWO], [TWO, TWO]],
    "net_others_cal-32": [[THREE, TWO], [TWO, TWO]],
    "ceiling": [[ALL], [THREE]],
}


@pytest.fixture(scope="module")
def curve():
    scores = scores_of(CURVE, n_trials=(32, 30))
    figure = plot_people(scores)
    yield scores, figure
    to_svg(figure)


def test_the_summary_figure_shows_people_differences_and_trials():
    """Of two pairs of brains; of one, intervals are those of its concepts."""
    predictors, metrics = results(CURVE, n_trials=(32, 30))
    summary = summarise(predictors, metrics)
    best = "net_others_cal-32"
    rows = [comparisons(0.25, 0.01, [pair], run=best) for pair in (*BRAINS, "all")]
    figure = plot_summary(scores_of(CURVE, n_trials=(32, 30)), summary, pd.concat(rows))
    methods, differences, trials = figure.axes
    assert [label.get_text() for label in methods.get_yticklabels()][:2] == ["net", "net_others"]
    assert [len(points.get_offsets()) for points in methods.collections][:2] == [1, 2]  # a mean, two dots
    assert [label.get_text() for label in differences.get_yticklabels()] == ["ridge"]
    assert differences.collections[0].get_offsets().tolist() == [[25, 0]]
    assert {line.get_label() for line in trials.lines} >= {best, "ridge", "ceiling"}
    to_svg(figure)
    one = {run: people[:1] for run, people in FOUND.items()}
    predictors, metrics = results(one)
    figure = plot_summary(scores_of(one), summarise(predictors, metrics), rows[0][:0])
    assert len(figure.axes) == 2  # nothing was compared
    bars = [line.get_xdata() for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1]
    assert [list(bar) for bar in bars] == [[0, 100], [0, 100]]  # low and high of `content`
    to_svg(figure)


def dots(panel, marker_size):
    """The points of a panel that are drawn so large, by method."""
    drawn = [points for points in panel.collections if points.get_sizes()[0] == marker_size]
    return [points.get_offsets().tolist() for points in drawn]


def level(panel, colour):
    """The height of the line across the whole panel in this colour."""
    across = [line for line in panel.lines if list(line.get_xdata()) == [0, 1]]
    return [line.get_ydata()[0] for line in across if to_hex(line.get_color()) == to_hex(colour)]


def test_people_are_dots_and_means_have_intervals():
    scores = scores_of(FOUND)
    figure = plot_people(scores)
    [panel] = figure.axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["net", "ridge"]
    net, ridge = dots(panel, 14)
    assert [y for _, y in net] == [37.5, 50]
    assert [y for _, y in ridge] == [25, 50]
    assert [x for x, _ in ridge] == pytest.approx([x + 1 for x, _ in net])  # a person keeps the place
    [means] = dots(panel, 34)
    assert [y for _, y in means] == [43.75, 37.5]
    bars = {
        to_hex(line.get_color()): list(line.get_ydata())
        for line in panel.lines
        if len(set(line.get_xdata())) == 1 and to_hex(line.get_color()) in (to_hex(BLUE), to_hex(ORANGE))
    }
    for colour, run in {BLUE: "net", ORANGE: "ridge"}.items():
        assert bars[to_hex(colour)] == pytest.approx(
            (100 * scores.methods.loc[run, ["low", "high"]]).tolist()
        )
    assert level(panel, "black") == [25]
    assert "ceiling" not in [text.get_text() for text in figure.legends[0].get_texts()]
    to_svg(figure)


def test_calibrations_are_a_curve_from_the_run_of_others(curve):
    _, figure = curve
    sides, panel = figure.axes
    assert [label.get_text() for label in sides.get_xticklabels()] == ["net", "net_others", "ridge"]
    assert [label.get_text() for label in panel.get_xticklabels()] == [
        "0 pictures",
        "8 pictures\n30–32\ntrials",
        "32 pictures\n30–32\ntrials",
    ]
    lines = {line.get_linewidth(): [] for line in panel.lines}
    for line in panel.lines:
        lines[line.get_linewidth()].append(line.get_ydata().tolist() if len(line.get_xdata()) == 3 else None)
    assert lines[0.7] == [[25, 37.5, 62.5], [37.5, 50, 50]]
    assert lines[2] == [[31.25, 43.75, 56.25]]
    assert panel.get_xlabel().endswith("net_others")


def test_the_line_to_reach_and_the_ceiling_are_drawn(curve):
    _, figure = curve
    sides, panel = figure.axes
    assert level(panel, GREEN) == [43.75]
    assert "own: net" in [text.get_text() for text in panel.texts]
    assert "ceiling" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert 87.5 in [line.get_ydata()[0] for line in sides.lines]


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))


def test_the_table_has_a_row_a_person_and_the_mean_below(curve):
    page = people_page(curve[0])
    assert "Top-1 (%) of 2 pairs of brains: 4 test pictures, chance 25.0 %" in page
    rows = re.findall(r"<tr>(<td>.*?)</tr>", page, flags=re.DOTALL)
    cells = [[text_of(cell).strip() for cell in row.split("</td>")[:-1]] for row in rows]
    assert cells[0] == [BRAINS[0], "37.5", "25.0", "37.5", "62.5", "25.0", "100.0"]
    assert cells[1] == [BRAINS[1], "50.0", "37.5", "50.0", "50.0", "50.0", "75.0"]
    low, high = 100 * curve[0].methods.loc["net", ["low", "high"]]
    assert cells[2][:2] == ["mean", f"43.8 {low:.1f} – {high:.1f}"]
    assert "net_<wbr>others_<wbr>cal-8<br><small>8 pictures</small>" in page


def test_many_methods_stand_in_several_tables():
    names = [f"net{number}" for number in range(COLUMNS + 2)]
    page = people_page(scores_of({name: [[ONE], [TWO]] for name in names}))
    assert page.count("<table>") == 2
    assert [len(re.findall("<th>", head)) for head in page.split("</thead>")[:-1]] == [COLUMNS + 1, 3]


def test_names_are_escaped():
    assert "<i>" not in people_page(scores_of({"<i>_<u>": [[ONE], [TWO]], "ridge": [[ONE], [TWO]]}))


def test_the_script_reads_what_the_workflow_wrote(tmp_path):
    predictors, metrics = results(CURVE, n_trials=(32, 30))
    files = [str(tmp_path / f"{number}.json") for number in range(len(metrics))]
    for file, content in zip(files, metrics, strict=True):
        write_json(file, content)
    write_csv(tmp_path / "summary.csv", summarise(predictors, metrics))
    given = SimpleNamespace(summary=str(tmp_path / "summary.csv"), metrics=files)
    output = {name: str(tmp_path / name) for name in ("figure", "table")}
    run_script("plot_people", tmp_path, input=given, output=output, params={"predictors": predictors})
    expected = scores_of(CURVE, n_trials=(32, 30))
    assert (tmp_path / "table").read_text() == people_page(expected)
    assert (tmp_path / "figure").read_text() == to_svg(plot_people(expected))
