"""Work that threads do ahead of the one who uses it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, n_threads: int, n_ahead: int
) -> Iterator[Result]:
    """Run ``map(function, items)`` by threads, in order; at most ``n_ahead`` results wait for being used."""
    with ThreadPoolExecutor(n_threads) as threads:
        pending: deque = deque()
        for item in items:
            pending.append(threads.submit(function, item))
            if len(pending) > n_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
