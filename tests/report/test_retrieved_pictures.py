"""The gallery shows the best, the middle and the worst queries, and marks the answers."""

import numpy as np
import pytest
from helpers.report_tables import pictures
from matplotlib.colors import same_color

from brain2image.report.figures.retrieved_pictures import RIGHT, choose_queries, draw_gallery


def red(panel):
    """Red value of the picture on a panel: the pictures here differ in it."""
    return int(np.asarray(panel.images[0].get_array())[0, 0, 0])


def test_queries_are_the_best_the_middle_and_the_worst(rng):
    similarity = rng.standard_normal((20, 20)).astype(np.float32)
    own = rng.permutation(20) + 1
    queries = choose_queries(similarity, own, 2)
    assert [query["rank"] for query in queries] == [1, 2, 10, 11, 19, 20]
    assert [query["group"] for query in queries] == ["best", "best", "middle", "middle", "worst", "worst"]
    for query in queries:
        row = similarity[query["pair"]]
        np.testing.assert_array_equal(query["retrieved"], np.argsort(-row)[:5])
        np.testing.assert_array_equal(query["similarities"], np.sort(row)[::-1][:5])
        assert query["similarity"] == row[query["pair"]]


def test_of_equal_ranks_the_nearest_answer_comes_first():
    similarity = np.diag(np.array([0.2, 0.9, 0.5, 0.7], np.float32))
    queries = choose_queries(similarity, np.ones(4, int), 1)
    assert [query["pair"] for query in queries] == [1, 2, 0]


@pytest.mark.parametrize("n", [1, 2, 4])
def test_few_queries_are_shown_once(n):
    queries = choose_queries(np.eye(n, dtype=np.float32), np.ones(n, int), 3)
    assert sorted(query["pair"] for query in queries) == list(range(n))


@pytest.mark.parametrize("n", [3, 12])
def test_the_gallery_frames_the_answer(n):
    similarity = np.eye(n, dtype=np.float32) + 0.01 * np.arange(n)
    queries = choose_queries(similarity, np.ones(n, int), 1)
    first, *_, last = np.array(
        draw_gallery(queries, pictures(n), pictures(n), titles=("A", "B")).axes
    ).reshape(-1, 8)
    assert red(first[0]) == red(first[1]) == red(first[3]) == 8 * (n - 1)
    assert red(last[0]) == red(last[3]) == 0
    assert last[0].get_ylabel() == f"worst\nrank 1\nof {n}"
    assert [panel.patch.get_visible() for panel in last[3:]] == [True, False, False, False, False]
    assert same_color(last[3].patch.get_edgecolor(), RIGHT)
    assert [panel.get_xlabel() for panel in last[1:5]] == ["1.00", "", "1.00", f"{0.01 * (n - 1):.2f}"]


def test_the_frame_is_where_the_answer_is():
    similarity = np.array([[0.5, 0.9, 0.1], [0, 1, 0], [0.3, 0.6, 0.2]], np.float32)
    queries = choose_queries(similarity, np.array([2, 1, 3]), 1)
    rows = np.array(draw_gallery(queries, pictures(3), pictures(3), titles=("A", "B")).axes).reshape(3, 8)
    framed = [[panel.patch.get_visible() for panel in row[3:6]] for row in rows]
    assert framed == [[True, False, False], [False, True, False], [False, False, True]]
