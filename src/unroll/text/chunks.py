"""Many texts cut into chunks at once: what `Tokenizer.chunks` finds in each, in a few array operations for all.

N texts, C chunks.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]

BATCH_CHARACTERS = 2_000_000  # of texts cut at once: more of them take more memory and gain nothing

_SPACE = ord(" ")
_IS_SPACE = bytes(chr(code).isspace() for code in range(128)) + bytes(128)  # by a byte of UTF-8
_WIDE_SPACES = re.compile(
    b"(?:\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80)+"
)  # white space beyond ASCII, in UTF-8


@dataclass(frozen=True)
class Chunks:
    """The chunks of N texts, one text after the other."""

    kinds: list[str]
    """What chunks there are, in the order in which they first come; one may stand here twice."""
    numbers: Ints
    """For each chunk, which of `kinds` it is (C,)."""
    ends: Ints
    """How many chunks there are up to the end of each text (N,)."""

    def counts(self) -> list[int]:
        """How often each of `kinds` occurs."""
        counts: list[int] = np.bincount(self.numbers, minlength=len(self.kinds)).tolist()
        return counts


def cut(texts: Sequence[str]) -> Chunks:
    """The chunks of `texts`."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    data = b"".join(encoded)
    ends = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))
    begins = _begins(data, ends)
    buffers = [None, pa.py_buffer(np.append(begins, len(data))), pa.py_buffer(data)]
    coded = pa.Array.from_buffers(pa.large_binary(), len(begins), buffers).dictionary_encode()
    pieces = [piece.decode("utf-8", "surrogatepass") for piece in coded.dictionary.to_numpy(zero_copy_only=False)]
    kinds = [piece.lstrip() or piece for piece in pieces]
    return Chunks(kinds, coded.indices.to_numpy(), np.searchsorted(begins, ends))


def _begins(data: bytes, ends: Ints) -> Ints:
    """Where in `data`, texts that end at `ends` (N,), a piece begins: a chunk, or one behind the space before it."""
    begins = np.zeros(len(data) + 1, dtype=bool)
    begins[0], begins[ends] = True, True
    space = np.frombuffer(data.translate(_IS_SPACE), dtype=bool)
    if not data.isascii():
        space = space.copy()
        for found in _WIDE_SPACES.finditer(data):
            space[found.start() : found.end()] = True
    at = np.flatnonzero(space)
    alone_before, alone_behind = np.diff(at, prepend=-2) > 1, np.diff(at, append=len(data) + 1) > 1
    text_begins, text_ends = begins[at], begins[at + 1]
    between = alone_before & alone_behind & ~text_begins & ~text_ends
    between &= np.frombuffer(data, dtype=np.uint8)[at] == _SPACE
    begins[at[alone_before]] = True
    begins[at[alone_behind & ~between] + 1] = True
    return np.flatnonzero(begins[:-1])


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
