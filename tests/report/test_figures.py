"""Figures show what they are given; examples are chosen evenly."""

import base64
import io
import re
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers.report_tables import pictures
from matplotlib.colors import to_hex
from PIL import Image, ImageFilter

from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.report.figures import pair_pictures as pair_figures
from brain2image.report.figures import score_plots as scores
from brain2image.report.figures import style
from brain2image.report.figures import training_curves as training

RUNS = ("multitoken_vit", "ridge")


@pytest.fixture
def pairs(rng):
    return pd.DataFrame(
        {
            "eeg_image": np.arange(30),
            "fmri_image": np.arange(30),
            "similarity": np.sort(rng.uniform(size=30))[::-1],
            "cluster": np.arange(30) % 3,
            "split": ["train"] * 24 + ["val"] * 3 + ["test"] * 3,
        }
    )


def shown(panel):
    """Red value of the picture on a panel: the pictures here differ in it."""
    return int(np.asarray(panel.images[0].get_array())[0, 0, 0])


def test_examples_are_the_best_the_middle_and_the_last(pairs):
    assert list(pair_figures.choose_examples(pairs, 2)["rank"]) == [1, 2, 15, 16, 29, 30]
    assert list(pair_figures.choose_examples(pairs[:3], 2)["rank"]) == [1, 2, 3]


def test_pairs_are_drawn_with_the_eegs_picture_above(pairs, tmp_path):
    chosen = pair_figures.choose_examples(pairs, 2)
    figure = pair_figures.draw_pairs(chosen, pictures(6), pictures(12)[6:], titles=["THINGS", "NSD"])
    panels = [panel for panel in figure.axes if panel.images]
    assert [shown(panel) for panel in panels] == [
        8 * i for pair in zip(range(6), range(6, 12), strict=True) for i in pair
    ]
    assert "best: pair 1\ncosine" in panels[0].get_title()
    named = [[text.get_text() for text in panel.texts] for panel in panels]
    assert named == [["THINGS"], ["NSD"], [], []] * 3
    assert [panels[place].get_title().partition(":")[0] for place in (4, 8)] == ["middle", "worst"]
    style.save(figure, tmp_path / "pairs.svg")
    assert (tmp_path / "pairs.svg").read_text().startswith("<?xml")


def test_clusters_share_one_basis(pairs, rng):
    embeddings = Embeddings(np.arange(30), rng.standard_normal((30, 10)).astype(np.float32), "clip.npz")
    sets = [SimpleNamespace(title=title, read=lambda rows: pictures(30)[: len(rows)]) for title in ("A", "B")]
    figure = pair_figures.plot_clusters(
        pairs, embeddings, embeddings, sets
    )  # equal pictures lie on each other
    insets = figure.axes[0].child_axes
    assert 3 <= len(insets) <= pair_figures.MOST_PICTURES
    boxes = [inset.get_window_extent() for inset in insets]
    assert sum(one.overlaps(other) for one in boxes for other in boxes) == len(boxes)  # each with itself
    points = [dots.get_offsets() for dots in figure.axes[0].collections[:6]]
    for things, nsd in zip(points[::2], points[1::2], strict=True):
        np.testing.assert_allclose(things, nsd)


def test_training_marks_the_epoch_that_is_kept():
    history = pd.DataFrame(
        {"epoch": [0, 1, 2], "train_loss": [3, 2, 1.0], "val_loss": [3, 2, 4.0], "val_top1": [0, 0.5, 0.2]}
    )
    figure = training.plot_training(dict.fromkeys(("flatten", "flatten_seed-1"), history), n_val=4)
    for panel, dot in zip(figure.axes, ([1, 2], [1, 50]), strict=True):
        dots = [line.get_xydata().tolist() for line in panel.lines if line.get_marker() == "o"]
        assert [points for points in dots if points] == [[dot]] * 2  # the legend's has no point
    assert [text.get_text() for text in figure.legends[0].get_texts()].count("flatten") == 1
    assert all(tick == int(tick) for panel in figure.axes for tick in panel.get_xticks())
    assert 25 in [line.get_ydata()[0] for line in figure.axes[1].lines if line.get_label() == "chance"]


def summary(runs=RUNS, seeds=(0,), galleries=(60,)):
    """Rows of one pair of brains: top-k of 0.1 k, RSA of 0.3, each ± 0.05."""
    rows = [
        {
            "brains": "things-01_subj01",
            "run": run,
            "seed": None if run == "ridge" else seed,
            "n_test": 60,
            "n_concepts": 50,
            "n_trials": n_trials,
            "level": "image",
            "space": "embedding",
            "direction": direction,
            "n_gallery": n_gallery,
            "metric": metric,
            "value": value + 0.02 * seed,
            "chance": 0.0 if metric == "rsa" else 1 / n_gallery,
            "p": 0.001,
            "low": value - 0.05,
            "high": value + 0.05,
            "share_of_ceiling": None,
        }
        for run in runs
        for seed in seeds
        for n_trials in ("1", "2", "all")
        for n_gallery in galleries
        for metric, value in {"top1": 0.1, "top5": 0.5, "top10": 1.0, "rsa": 0.3}.items()
        for direction in (("both",) if metric == "rsa" else ("forward", "backward"))
    ]
    return pd.DataFrame(rows)


def ticks(panel):
    return [label.get_text() for label in panel.get_yticklabels()]


def intervals(panel):
    """Ends of the horizontal lines from a low to a high bound."""
    lines = [line.get_xdata() for line in panel.lines if len(set(line.get_ydata())) == 1]
    return [tuple(np.round(line, 6)) for line in lines if np.isfinite(line).all() and line[0] < line[1]]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_retrieval_has_chance_intervals_and_a_bound():
    figure = scores.plot_retrieval(summary(), rsa_bound=0.9)
    retrieval, rsa = figure.axes
    assert ticks(retrieval) == list(RUNS)
    assert [points.get_offsets()[:, 0].tolist() for points in retrieval.collections] == [
        pytest.approx([100 * value] * 2) for value in (0.1, 0.5, 1.0)
    ]
    assert intervals(retrieval) == [(5, 15)] * 2 + [(45, 55)] * 2 + [(95, 105)] * 2
    assert intervals(rsa) == [(0.25, 0.35)] * 2
    assert legend(figure) == ["top-1", "top-5", "top-10", "chance", "bound by the noise of fMRI"]
    assert "bound by the noise of fMRI" not in legend(scores.plot_retrieval(summary(), rsa_bound=None))


def test_seeds_are_a_band_of_one_deviation():
    rows = summary(("flatten",), seeds=(0, 1))
    _, rsa = scores.plot_retrieval(rows, rsa_bound=None).axes
    deviation = np.std([0.3, 0.32], ddof=1)
    assert (round(0.31 - deviation, 6), round(0.31 + deviation, 6)) in intervals(rsa)


@pytest.mark.parametrize(("galleries", "n_panels"), [((60,), 2), ((60, 50), 4)])
def test_curves_over_trials_and_over_galleries_where_there_are_several(galleries, n_panels):
    figure = scores.plot_curves(summary(galleries=galleries))
    assert len(figure.axes) == n_panels
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "2", "all"]
    assert [panel.get_title() for panel in figure.axes[:2]] == ["EEG finds fMRI", "fMRI finds EEG"]
    chance = next(line for line in figure.axes[-1].lines if line.get_label() == "chance").get_ydata()
    assert list(chance) == pytest.approx([100 / 60] * 3 if n_panels == 2 else [2, 100 / 60])
    assert {*RUNS, "chance"} == set(legend(figure))


def test_comparisons_are_coloured_by_what_is_certain():
    names = {"brains": "things-01_subj01", "run": "flatten"}
    rows = pd.DataFrame(
        {
            "baseline": baseline,
            "metric": metric,
            "difference": d,
            "low": d - 0.1,
            "high": d + 0.1,
            "p_holm": p,
            "p_floor": 0.001,
        }
        for metric in ("top1", "mrr")
        for baseline, d, p in (("ridge", 0.2, 0.01), ("pls", -0.2, 0.01), ("mlp", 0.2, 0.2))
    ).assign(**names)
    top1, mrr = scores.plot_comparisons(rows).axes
    assert ticks(top1) == ["flatten − ridge", "flatten − pls", "flatten − mlp"]
    colours = [to_hex(line.get_color()) for line in top1.lines if len(set(line.get_xdata())) == 2]
    assert list(dict.fromkeys(colours)) == [to_hex(colour) for colour in (style.GREEN, style.RED, "0.45")]
    assert intervals(top1) == [(10, 30), (-30, -10), (10, 30)]
    assert intervals(mrr) == [(0.1, 0.3), (-0.3, -0.1), (0.1, 0.3)]
    assert [text.get_text() for text in top1.texts] == ["p = 0.010", "p = 0.010", "p = 0.200"]
    everywhere = scores.plot_comparisons(pd.concat([rows, rows.assign(brains="all", p_floor=0.5)])).axes[0]
    assert ticks(everywhere)[3] == "flatten − ridge (all)"
    assert [text.get_text() for text in everywhere.texts][3:] == ["p ≥ 0.5"] * 3
    assert "no network" in scores.plot_comparisons(rows[:0]).axes[0].texts[0].get_text()


def test_more_names_than_colours_differ_by_marker():
    found = style.looks(f"run {number}" for number in range(20))
    assert len({tuple(look.items()) for look in found.values()}) == 20


def test_photographs_are_saved_as_jpeg_and_smooth_maps_as_they_are(rng, tmp_path):
    photograph = rng.integers(0, 255, (16, 16, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    photograph = np.asarray(Image.fromarray(photograph).filter(ImageFilter.GaussianBlur(3)))
    for name, picture in {"jpeg": photograph, "png": np.full((64, 64, 3), 200, np.uint8)}.items():
        figure, panel = plt.subplots()
        panel.imshow(picture, interpolation="none")
        style.save(figure, tmp_path / name)
        text = (tmp_path / name).read_text()
        assert re.findall(r"data:image/(\w+);base64", text) == [name]
    text = (tmp_path / "jpeg").read_text()
    assert "matrix" not in text and "pixelated" not in text  # its place in few words, and smoothed
    embedded = base64.b64decode(re.search(r"base64,([^\"]+)", text)[1])
    image = Image.open(io.BytesIO(embedded)).convert("RGB")
    assert np.abs(np.asarray(image).astype(float) - photograph).mean() < 5


def test_what_no_eye_sees_is_left_out_of_a_figure(rng):
    figure, panel = plt.subplots()
    panel.scatter(*rng.random((2, 50)), label="a < b")
    panel.set_title("a title")
    figure.legend()
    text = style.to_svg(figure)
    drawn = ElementTree.fromstring(text)  # every tag that opens closes
    named = [node.text for node in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a title", "a < b"} <= set(named)
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}use"))) >= 50  # the points and the ticks
    assert "<!--" not in text and "<metadata>" not in text and not re.search(r'<g>| d="[^"]*\.\d{3}', text)
    looks = set(re.findall(r'class="(\w+)"', text))
    assert looks == set(re.findall(r"\.(s\w+)\{", text))  # each is explained
    links = set(re.findall(r'xlink:href="#(\w+)"|url\(#(\w+)\)', text))
    assert {one or other for one, other in links} <= set(re.findall(r' id="(\w+)"', text))
