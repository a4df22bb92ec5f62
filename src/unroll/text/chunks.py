"""The chunks of many texts at once: which ones there are, and where each stands.

N chunks of all texts one after the other, of which D are distinct; B texts. Rows are B sequences one after the other,
and the length of each (B,).
"""

from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unroll.text.tallies import strings
from unroll.text.tokenizer import Tokenizer

SIDE_BY_SIDE = 64  # texts that are looked at at once

Rows = tuple[NDArray[np.int64], NDArray[np.int64]]


class Chunks(NamedTuple):
    """`Tokenizer.chunks` of texts, each distinct one once, or twice: few have to be looked at, whatever N is."""

    words: pa.LargeStringArray
    """The first distinct chunks, all without white space: those of plain texts."""
    others: list[str]
    """The distinct chunks of all other texts."""
    places_N: NDArray[np.int64]
    """Of each chunk of the texts its place among the distinct ones."""
    counts_B: NDArray[np.int64]
    """How many chunks each text has."""

    def totals(self) -> NDArray[np.int64]:
        """How often each distinct chunk occurs (D,)."""
        return np.bincount(self.places_N, minlength=len(self.words) + len(self.others))

    def in_order(self) -> list[str]:
        """The distinct chunks in the order in which they first come."""
        distinct = [*strings(self.words), *self.others]
        first_D = np.empty(len(distinct), dtype=np.int64)
        first_D[self.places_N[::-1]] = np.arange(len(self.places_N))[::-1]
        return [distinct[place] for place in first_D.argsort().tolist()]

    def distinct(self) -> pa.LargeStringArray:
        """All distinct chunks (D,), which have to be valid Unicode."""
        return pa.concat_arrays([self.words, pa.array(self.others, pa.large_string())]) if self.others else self.words


def chunks_of(tokenizer: Tokenizer, texts: Sequence[str]) -> Chunks:
    """The chunks of `texts`. Most lines have single spaces alone: Arrow splits these, and makes no object of a word."""
    is_plain, plain_texts, others = parted([tokenizer.folded(text) for text in texts])
    words, plain = plain_words(plain_texts)
    if not others:
        return Chunks(words, [], *plain)
    distinct: dict[str, int] = {}
    chunks = list(map(tokenizer.folded_chunks, others))
    places = [len(words) + distinct.setdefault(chunk, len(distinct)) for some in chunks for chunk in some]
    other = np.array(places, dtype=np.int64), np.fromiter(map(len, chunks), np.int64, len(chunks))
    return Chunks(words, list(distinct), *interleaved(is_plain, plain, other))


def parted(folded: Sequence[str]) -> tuple[NDArray[np.bool_], list[str], list[str]]:
    """Which texts (B,) are plain as `Tokenizer.is_plain` has it, these, and all others."""
    is_plain = np.zeros(len(folded), dtype=np.bool_)
    for first in range(0, len(folded), SIDE_BY_SIDE):
        some = folded[first : first + SIDE_BY_SIDE]
        # With a space between, they are plain together if each of them is.
        together = Tokenizer.is_plain(" ".join(some))
        is_plain[first : first + SIDE_BY_SIDE] = together or list(map(Tokenizer.is_plain, some))
    return is_plain, list(compress(folded, is_plain)), list(compress(folded, ~is_plain))


def plain_words(texts: list[str]) -> tuple[pa.LargeStringArray, Rows]:
    """The distinct words of texts that `Tokenizer.is_plain` says are plain, and as rows the place of each word."""
    lists = pc.split_pattern(pa.array(texts, pa.large_string()), " ")
    coded = lists.flatten().dictionary_encode()
    counts_B = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    return coded.dictionary, (coded.indices.to_numpy().astype(np.int64), counts_B.astype(np.int64))


def joined(first: Rows, second: Rows) -> Rows:
    """The rows of `first`, and then those of `second`."""
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def interleaved(is_first: NDArray[np.bool_], first: Rows, second: Rows) -> Rows:
    """Rows in the order that `is_first` (B,) says: the next of `first`, or of `second`."""
    flat, lengths = joined(first, second)
    order_B = np.empty(len(is_first), dtype=np.int64)
    order_B[is_first] = np.arange(len(first[1]))
    order_B[~is_first] = np.arange(len(first[1]), len(lengths))
    return flat[spread(_begins(lengths)[order_B], lengths[order_B])], lengths[order_B]


def gathered(distinct: Rows, places_N: NDArray[np.int64], counts_B: NDArray[np.int64]) -> Rows:
    """Texts as rows: the row of `distinct` (D rows) at each of `places_N`, of which text b has `counts_B[b]`."""
    flat, sizes_D = distinct
    if (sizes_D == 1).all():
        return flat[places_N], counts_B
    sizes_N = sizes_D[places_N]
    lengths_B = np.diff(np.append(0, np.cumsum(sizes_N))[np.cumsum(counts_B)], prepend=0)
    return flat[spread(_begins(sizes_D)[places_N], sizes_N)], lengths_B


def spread(begins: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """begin, begin + 1, ... for each of `begins`, so many as `counts` says, one after the other."""
    return np.repeat(begins - _begins(counts), counts) + np.arange(counts.sum())


def _begins(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.cumsum(counts) - counts


def are_tokens(tokenizer: Tokenizer, words: pa.LargeStringArray) -> NDArray[np.bool_]:
    """Which chunks, none of them empty, are a token as they are; of a few it is not found out, of white space never."""
    if not len(words):
        return np.zeros(0, dtype=np.bool_)
    _, offsets, data = words.buffers()
    first, last = np.frombuffer(offsets, np.int64)[words.offset : words.offset + len(words) + 1][[0, -1]].tolist()
    codes = np.frombuffer(data[first:last].to_pybytes().decode().encode("utf-32-le"), dtype="<u4")
    met = np.flatnonzero(np.bincount(codes))
    is_kept = np.zeros(met[-1] + 1, dtype=np.bool_)
    is_kept[met] = [tokenizer.keeps(chr(code)) for code in met.tolist()]
    begins = _begins(pc.utf8_length(words).to_numpy(zero_copy_only=False))
    found: NDArray[np.bool_] = np.logical_and.reduceat(is_kept[codes], begins)
    return found
