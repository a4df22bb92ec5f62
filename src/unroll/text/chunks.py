"""The chunks of many texts at once: which ones there are, and where each stands.

N chunks of all texts one after the other, of which D are distinct; B texts.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unroll.text.tokenizer import Tokenizer


class Chunks(NamedTuple):
    """`Tokenizer.chunks` of texts, each distinct one once, or twice: few have to be looked at, whatever N is."""

    distinct: list[str]
    """The chunks (D), in the order in which they first come."""
    places_N: NDArray[np.int64]
    """Of each chunk of the texts its place among the distinct ones."""
    counts_B: NDArray[np.int64]
    """How many chunks each text has."""

    def totals(self) -> NDArray[np.int64]:
        """How often each distinct chunk occurs (D,)."""
        return np.bincount(self.places_N, minlength=len(self.distinct))


def chunks_of(tokenizer: Tokenizer, texts: Sequence[str]) -> Chunks:
    """The chunks of `texts`. Most lines have single spaces alone: Arrow splits these, and makes no object of a word."""
    texts = [tokenizer.folded(text) for text in texts]
    is_plain = np.fromiter(map(tokenizer.is_plain, texts), bool, len(texts))
    plain = _of_plain([text for text, says in zip(texts, is_plain, strict=True) if says])
    if is_plain.all():
        return plain
    other = _of_others(tokenizer, [text for text, says in zip(texts, is_plain, strict=True) if not says])
    counts_B = np.empty(len(texts), dtype=np.int64)
    counts_B[is_plain], counts_B[~is_plain] = plain.counts_B, other.counts_B
    places_N = np.concatenate([plain.places_N, other.places_N + len(plain.distinct)])
    begins_B = np.empty(len(texts), dtype=np.int64)  # where the chunks of each text begin, the plain ones first
    begins_B[is_plain], begins_B[~is_plain] = np.split(
        _begins(np.append(plain.counts_B, other.counts_B)), [len(plain.counts_B)]
    )
    return _in_order(Chunks(plain.distinct + other.distinct, places_N[spread(begins_B, counts_B)], counts_B))


def spread(begins: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """begin, begin + 1, ... for each of `begins`, so many as `counts` says, one after the other."""
    return np.repeat(begins - _begins(counts), counts) + np.arange(counts.sum())


def _in_order(chunks: Chunks) -> Chunks:
    """The distinct chunks in the order in which they come."""
    first_D = np.empty(len(chunks.distinct), dtype=np.int64)
    first_D[chunks.places_N[::-1]] = np.arange(len(chunks.places_N))[::-1]
    order_D = first_D.argsort()
    new_D = np.empty_like(order_D)
    new_D[order_D] = np.arange(len(order_D))
    distinct = [chunks.distinct[n] for n in order_D.tolist()]
    return chunks._replace(distinct=distinct, places_N=new_D[chunks.places_N])


def _begins(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.cumsum(counts) - counts


def _of_plain(texts: list[str]) -> Chunks:
    lists = pc.split_pattern(pa.array(texts, pa.large_string()), " ")
    coded = lists.flatten().dictionary_encode()
    distinct = coded.dictionary.to_numpy(zero_copy_only=False).tolist()
    counts_B = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    return Chunks(distinct, coded.indices.to_numpy().astype(np.int64), counts_B.astype(np.int64))


def _of_others(tokenizer: Tokenizer, texts: list[str]) -> Chunks:
    places: dict[str, int] = {}
    chunks = [tokenizer.chunks(text) for text in texts]
    places_N = [places.setdefault(chunk, len(places)) for some in chunks for chunk in some]
    return Chunks(
        list(places), np.array(places_N, dtype=np.int64), np.fromiter(map(len, chunks), np.int64, len(chunks))
    )
