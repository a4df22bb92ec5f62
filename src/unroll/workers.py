"""Texts in batches, and work on these by several processes: the results, and their order, are those of one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from multiprocessing import get_context
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 2  # items a process that are read before the first is done: memory holds these, and no more

BATCH_CHARACTERS = 4_000_000

_function: Callable[[Any], Any]


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """`texts` in order, about `BATCH_CHARACTERS` of them at a time."""
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text) + 1
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def in_order(
    function: Callable[[T], R], items: Iterable[T], processes: int, setup: Callable[[], Any] | None = None
) -> Iterator[R]:
    """`function` of each item, in order, worked out by so many processes; by this one if it is one.

    What `function` is made of goes to each process once, and so it must not change what it says from call to call. A
    process calls `setup` before that.
    """
    items = iter(items)
    first = list(islice(items, 2))
    items = chain(first, items)
    if processes == 1 or len(first) < 2:  # starting a process takes longer than one item
        yield from map(function, items)
        return
    # Not forked: a fork copies the locks of this process's threads, in whatever state they are.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _keep, (function, setup))
    under_way: deque[Future[R]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(_call, item))
            if len(under_way) >= AHEAD * processes:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _keep(function: Callable[[Any], Any], setup: Callable[[], Any] | None) -> None:
    global _function
    _function = function
    if setup is not None:
        setup()


def _call(item: Any) -> Any:
    return _function(item)
