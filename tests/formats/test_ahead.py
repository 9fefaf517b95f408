"""Threads that work ahead: in order, not too far, and with their errors."""

import threading
import time

import pytest

from brain2image.formats.ahead import map_ahead


@pytest.mark.parametrize(("n_threads", "n_ahead"), [(1, 1), (3, 2), (2, 50)])
def test_results_come_in_order(n_threads, n_ahead):
    def slower_first(number):
        time.sleep(0.002 * (number % 3))
        return number**2

    squares = map_ahead(slower_first, range(20), n_threads=n_threads, n_ahead=n_ahead)
    assert list(squares) == [number**2 for number in range(20)]


def test_no_more_is_done_than_will_fit():
    started, lock = [], threading.Lock()

    def note(number):
        with lock:
            started.append(number)
        return number

    results = map_ahead(note, range(100), n_threads=2, n_ahead=4)
    next(results)
    time.sleep(0.05)
    assert len(started) == 5  # the one that was taken, and four ahead


def test_an_error_comes_where_its_result_would():
    results = map_ahead(lambda number: 1 / (3 - number), range(6), n_threads=2, n_ahead=3)
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
