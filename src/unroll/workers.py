"""Work on texts done by several processes: the results, and their order, are those of one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 2  # items a process that are read before the first is done: memory holds these, and no more

_function: Callable[[Any], Any]


def in_order(function: Callable[[T], R], items: Iterable[T], processes: int) -> Iterator[R]:
    """`function` of each item, in order, worked out by so many processes; by this one if it is one.

    What `function` is made of goes to each process once, and so it must not change what it says from call to call.
    """
    if processes == 1:
        yield from map(function, items)
        return
    # Not forked: a fork copies the locks of this process's threads, in whatever state they are.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _keep, (function,))
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


def _keep(function: Callable[[Any], Any]) -> None:
    global _function
    _function = function


def _call(item: Any) -> Any:
    return _function(item)
