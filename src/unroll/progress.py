"""How far long work is: a bar on a terminal, which goes when the work is done; nothing where the output is piped."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
Tell = Callable[[int], None]
"""Hears how many parts, or bytes, are done since it heard before."""


def silent(done: int) -> None:
    """Tells nobody."""


def followed(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The same items, counted on a terminal behind `what`; `total` is how many there will be, if that is known."""
    if not sys.stderr.isatty():
        yield from items
        return
    with _bar("parts") as bar:
        yield from bar.track(items, total, description=what)


@contextmanager
def parts_done(what: str, total: int | None, unit: Literal["parts", "bytes"] = "parts") -> Iterator[Tell]:
    """What shows work in parts, or bytes, of which there are `total`, if that is known."""
    if not sys.stderr.isatty():
        yield silent
        return
    with _bar(unit) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def _bar(unit: Literal["parts", "bytes"]) -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn() if unit == "bytes" else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # what goes into a file or a pipe stays there
    )
