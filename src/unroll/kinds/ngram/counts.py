"""All n-grams of a text, each order's numbered, counted in a few array operations an order.

An n-gram is known by its key: the number of its first n - 1 tokens in the order below, times V, plus its last token.
Numbers within an order follow the sorted keys, so that a look-up is a binary search. The number of a unigram is its id.

Several processes count long texts in shards, and the counts of all shards are the same to the last number.

T tokens, V vocabulary, N distinct n-grams of one order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unroll.engine import LOCAL, Engine
from unroll.text.specials import BOS, EOS

Ints = NDArray[np.int64]
Context = Literal["stream", "text"]
SHARD_TOKENS = 1 << 21


@dataclass(frozen=True)
class Tokens:
    """Texts as one sequence: `ids` (T,), and how many tokens of the same text stand `before` each (T,).

    A text begins where `before` is 0, with a token that is context alone.
    """

    ids: Ints
    before: Ints

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def predicted(self) -> int:
        """How many tokens are predicted, and not context alone."""
        return int(np.count_nonzero(self.before))


def read_tokens(ids: NDArray[np.integer[Any]], lengths: NDArray[np.integer[Any]], context: Context) -> Tokens:
    """Texts given as flat `ids`, each with its end, and the length of each (their ends included)."""
    if context == "stream":
        sequence = np.append(EOS, ids).astype(np.int64)
        return Tokens(sequence, np.arange(len(sequence)))
    starts = np.cumsum(lengths) - lengths
    sequence = np.insert(ids.astype(np.int64), starts, BOS)
    sizes = lengths + 1
    return Tokens(sequence, np.arange(len(sequence)) - np.repeat(np.cumsum(sizes) - sizes, sizes))


@dataclass(frozen=True)
class Order:
    """The distinct n-grams of one order."""

    keys: Ints
    """Sorted (N,); of unigrams all ids (V,)."""
    suffix: Ints
    """Number of each n-gram without its first token in the order below (N,); 0 for unigrams."""
    count: Ints
    """Occurrences (N,); a unigram that is context alone does not count."""
    leading: Ints
    """Of these, the occurrences with which a text begins, so that no token comes before (N,)."""


class Shard(NamedTuple):
    """Consecutive tokens, of which the first `counted` belong to the shard before and are context here."""

    tokens: Tokens
    counted: int


def count_orders(tokens: Tokens, order: int, vocabulary: int, engine: Engine = LOCAL) -> list[Order]:
    """Count the n-grams of orders 1 to `order`; none reaches over the beginning of a text.

    An engine that does one thing at a time gets one shard: to count shards and merge them takes more time and memory.
    """
    count = partial(count_shard, order, vocabulary)
    size = SHARD_TOKENS if engine.at_once > 1 else max(1, len(tokens))
    return merged(engine.map_shards(count, shards_of(tokens, order, size)), vocabulary)


def shards_of(tokens: Tokens, order: int, size: int) -> Iterator[Shard]:
    """`tokens` in pieces of `size`, each with so many of those before it that no n-gram of the `order` is lost."""
    for start in range(0, max(1, len(tokens)), size):
        counted = min(start, order - 1)
        piece = slice(start - counted, start + size)
        yield Shard(Tokens(tokens.ids[piece], tokens.before[piece]), counted)


def count_shard(order: int, vocabulary: int, shard: Shard) -> list[Order]:
    """The n-grams of a shard; those that end in its context are there, with no occurrences."""
    return list(_count(shard.tokens, shard.counted, order, vocabulary))


def _count(tokens: Tokens, counted: int, order: int, vocabulary: int) -> Iterator[Order]:
    nothing = np.zeros(vocabulary, dtype=np.int64)
    own = slice(counted, None)
    count = np.bincount(tokens.ids[own][tokens.before[own] > 0], minlength=vocabulary)
    yield Order(np.arange(vocabulary), nothing, count, nothing)
    there = np.minimum(tokens.before, np.arange(len(tokens)))  # of the same text and in this shard
    numbers = tokens.ids  # of the n-gram that ends at each position
    for n in range(2, order + 1):
        ends = np.flatnonzero(there >= n - 1)
        keys, inverse = np.unique(numbers[ends - 1] * vocabulary + tokens.ids[ends], return_inverse=True)
        suffix = np.empty(len(keys), dtype=np.int64)
        suffix[inverse] = numbers[ends]
        count = np.bincount(inverse[ends >= counted], minlength=len(keys))
        first = (ends >= counted) & (tokens.before[ends] == n - 1)
        yield Order(keys, suffix, count, np.bincount(inverse[first], minlength=len(keys)))
        numbers = np.full(len(tokens), -1, dtype=np.int64)
        numbers[ends] = inverse


def merged(counts: Iterable[Sequence[Order]], vocabulary: int) -> list[Order]:
    """The n-grams of several shards together.

    Those of like size are merged, so that each n-gram is merged a few times, however many shards there are.
    """
    waiting: list[Sequence[Order]] = []
    for found in counts:
        waiting.append(found)
        while len(waiting) > 1 and _size(waiting[-1]) >= _size(waiting[-2]) // 2:
            waiting[-2:] = [_merge(waiting[-2], waiting[-1], vocabulary)]
    while len(waiting) > 1:
        waiting[-2:] = [_merge(waiting[-2], waiting[-1], vocabulary)]
    return list(waiting[0])


def _size(orders: Sequence[Order]) -> int:
    return sum(len(grams.keys) for grams in orders)


def _merge(left: Sequence[Order], right: Sequence[Order], vocabulary: int) -> list[Order]:
    """Order by order: with the numbers of the order below as they are in both together, keys and suffixes compare."""
    unigrams = Order(left[0].keys, left[0].suffix, left[0].count + right[0].count, left[0].leading)
    both = [unigrams]
    numbers = left[0].keys, right[0].keys  # of the n-grams of each side in both together
    for grams in zip(left[1:], right[1:], strict=True):
        keys, inverse = np.unique(
            np.concatenate(
                [
                    new[old.keys // vocabulary] * vocabulary + old.keys % vocabulary
                    for new, old in zip(numbers, grams, strict=True)
                ]
            ),
            return_inverse=True,
        )
        suffix, count, leading = (np.zeros(len(keys), dtype=np.int64) for _ in range(3))
        above = inverse[: len(grams[0].keys)], inverse[len(grams[0].keys) :]
        for place, new, old in zip(above, numbers, grams, strict=True):
            suffix[place] = new[old.suffix]
            count[place] += old.count
            leading[place] += old.leading
        both.append(Order(keys, suffix, count, leading))
        numbers = above
    return both
