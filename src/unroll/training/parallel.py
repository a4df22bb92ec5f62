"""The processes that train one run together, as the loop sees them."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from torch import Tensor

from unroll.text.batches import Part

POLL_SECONDS = 0.2  # between looks whether all are ready

T = TypeVar("T")


class Told(NamedTuple):
    """What the processes have told each other with an update."""

    tokens: int = 0
    stop: int = 0
    """How many were asked to stop."""
    save: int = 0
    """For how many a checkpoint is due."""
    seconds: float = 0.0
    """Of training since this start, by all their clocks together."""


class Group:
    """A process that trains alone: it has all of each batch, and nobody to exchange anything with.

    Each method is called by all processes of a group, at the same place, and waits for all of them.
    """

    rank = 0
    """Of this process among `size`."""
    size = 1
    first = True
    """Whether it is the first of its host, which alone writes files and tells what happens."""

    @property
    def part(self) -> Part:
        """The share of each batch that is its own."""
        return Part(self.rank, self.size)

    def sum(self, numbers: Sequence[float]) -> Sequence[float]:
        """The sum over all processes of each number."""
        return numbers

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put in place of each tensor its sum over all processes, the same bits in each."""

    def gather(self, value: T) -> list[T]:
        """What each process gave, in their order: numbers, strings, tensors, and lists, tuples and dictionaries."""
        return [value]

    def broadcast(self, value: T, source: int = 0) -> T:
        """What the process `source` gave."""
        return value

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Until `ready()` in every process."""
        while sum(self.sum([not ready()])):
            time.sleep(POLL_SECONDS)
