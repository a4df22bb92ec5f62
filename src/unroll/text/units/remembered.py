"""The ids of stretches of text that have been met."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, compress, count, repeat
from threading import Lock

import numpy as np

from unroll.text.chunks import Rows, spread

KEPT_STRETCHES, KEPT_CHARACTERS = 500_000, 10_000_000


class Remembered:
    """Ids of stretches, few of which are ever new; when there are too many, all are forgotten."""

    def __init__(self, encode: Callable[[list[str]], Iterable[Sequence[int]]]) -> None:
        """`encode`: the ids of each of some stretches."""
        self._encode = encode
        self._lock = Lock()  # a server may answer in several threads
        self._forget()

    def rows(self, stretches: Sequence[str]) -> Rows:
        """The ids of each of `stretches`."""
        with self._lock:
            try:
                return self._rows(stretches)
            except BaseException:
                self._forget()  # what is half learned
                raise

    def _rows(self, stretches: Sequence[str]) -> Rows:
        if len(self._numbers) > KEPT_STRETCHES or self._characters > KEPT_CHARACTERS:
            self._forget()
        numbers = np.fromiter(map(self._numbers.get, stretches, repeat(-1)), np.int64, len(stretches))
        is_new = numbers < 0
        if is_new.any():
            numbers[is_new] = self._learn(list(compress(stretches, is_new)))
        flat, begins = (np.frombuffer(part, part.typecode) for part in (self._flat, self._begins))
        sizes = begins[numbers + 1] - begins[numbers]
        return flat[spread(begins[numbers], sizes)], sizes

    def _learn(self, stretches: list[str]) -> list[int]:
        """The numbers of `stretches`, which are new and may stand there several times."""
        new = dict(zip(dict.fromkeys(stretches), count(len(self._numbers))))
        ids = list(self._encode(list(new)))
        ends = len(self._flat) + np.cumsum(np.fromiter(map(len, ids), np.int64, len(ids)))
        self._numbers.update(new)
        self._flat.extend(chain.from_iterable(ids))
        self._begins.frombytes(ends.tobytes())
        self._characters += sum(map(len, new))
        return [new[stretch] for stretch in stretches]

    def _forget(self) -> None:
        self._numbers: dict[str, int] = {}
        self._flat = array("q")  # the ids of all stretches one after the other
        self._begins = array("q", [0])  # where those of each begin, and the end
        self._characters = 0
