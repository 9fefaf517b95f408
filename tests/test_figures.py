"""Figures show what they are given; examples are chosen evenly."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from brain2image.figures import gallery, scores, style, training
from brain2image.figures import pairs as pair_figures

RUNS = ("multitoken_vit", "ridge")


@pytest.fixture
def pairs(rng):
    return pd.DataFrame(
        {
            "similarity": np.sort(rng.uniform(size=30))[::-1],
            "cluster": np.arange(30) % 3,
            "split": ["train"] * 24 + ["val"] * 3 + ["test"] * 3,
        }
    )


def pictures(n):
    return [Image.new("RGB", (8, 8), (8 * i, 0, 0)) for i in range(n)]


def shown(panel):
    """Red value of the picture on a panel: the pictures here differ in it."""
    return int(np.asarray(panel.images[0].get_array())[0, 0, 0])


def test_examples_are_the_best_the_middle_and_the_last(pairs):
    assert list(pair_figures.choose_examples(pairs, 2)["rank"]) == [1, 2, 15, 16, 29, 30]
    assert list(pair_figures.choose_examples(pairs[:3], 2)["rank"]) == [1, 2, 3]


def test_pairs_are_drawn_with_things_above_nsd(pairs, tmp_path):
    chosen = pair_figures.choose_examples(pairs, 2)
    figure = pair_figures.plot_pairs(chosen, pictures(6), pictures(12)[6:])
    panels = [panel for panel in figure.axes if panel.images]
    assert [shown(panel) for panel in panels] == [
        8 * i for pair in zip(range(6), range(6, 12), strict=True) for i in pair
    ]
    assert "pair 1\ncosine" in panels[0].get_title()
    style.save(figure, tmp_path / "pairs.svg")
    assert (tmp_path / "pairs.svg").read_text().startswith("<?xml")


def test_clusters_share_one_basis(pairs, rng):
    embeddings = rng.standard_normal((30, 10)).astype(np.float32)
    figure = pair_figures.plot_clusters(pairs, embeddings, embeddings)  # equal pictures lie on each other
    points = [dots.get_offsets() for dots in figure.axes[0].collections[:6]]
    for things, nsd in zip(points[::2], points[1::2], strict=True):
        np.testing.assert_allclose(things, nsd)


def test_training_marks_the_epoch_that_is_kept():
    history = pd.DataFrame(
        {"epoch": [0, 1, 2], "train_loss": [3, 2, 1.0], "val_loss": [3, 2, 4.0], "val_top1": [0, 0.5, 0.2]}
    )
    figure = training.plot_training(dict.fromkeys(RUNS, history))
    losses, retrieval = figure.axes
    assert [line.get_xydata().tolist() for line in losses.lines if line.get_marker() == "o"] == [[[1, 2]]] * 2
    assert [line.get_xydata().tolist() for line in retrieval.lines if line.get_marker() == "o"] == [
        [[1, 50]]
    ] * 2


def test_retrieval_has_chance_and_intervals():
    rows = [
        {"run": run, "metric": f"top{k}", "value": 0.1 * k, "chance": 0.05, "low": 0.0, "high": 1.0}
        for run in RUNS
        for k in (1, 5, 10)
    ]
    panel = scores.plot_retrieval(pd.DataFrame(rows)).axes[0]
    heights = [
        bar.get_height() for bars in panel.containers if hasattr(bars, "patches") for bar in bars.patches
    ]
    np.testing.assert_allclose(heights, [10, 10, 50, 50, 100, 100])
    assert [label.get_text() for label in panel.get_xticklabels()] == list(RUNS)
    assert "chance" in [text.get_text() for text in panel.get_legend().get_texts()]


def test_queries_run_from_the_best_rank_to_the_worst(rng):
    similarity = rng.standard_normal((20, 20)).astype(np.float32)
    own = rng.permutation(20) + 1
    queries = gallery.choose_queries(similarity, own, 5)
    assert [query["rank"] for query in queries] == [1, 6, 11, 15, 20]
    for query in queries:
        np.testing.assert_array_equal(query["retrieved"], np.argsort(-similarity[query["pair"]])[:5])


@pytest.mark.parametrize("n", [3, 12])
def test_the_gallery_frames_the_answer(n):
    similarity = np.eye(n, dtype=np.float32)
    queries = gallery.choose_queries(similarity, np.ones(n, int), 2)
    figure = gallery.plot_gallery(queries, pictures(n), pictures(n))
    first, last = np.array(figure.axes).reshape(2, 7)
    assert shown(first[0]) == shown(first[1]) == shown(first[2]) == 0
    assert shown(last[2]) == 8 * (n - 1)
    framed = [panel.spines["top"].get_visible() for panel in last[2:]]
    assert framed == [True, False, False, False, False]
