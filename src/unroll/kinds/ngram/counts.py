"""All n-grams of a text, each order's numbered, counted in a few array operations an order.

An n-gram is known by its key: the number of its first n - 1 tokens in the order below, times V, plus its last token.
Numbers within an order follow the sorted keys, so that a look-up is a binary search. The number of a unigram is its id.

T tokens, V vocabulary, N distinct n-grams of one order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unroll.text.specials import BOS, EOS

Ints = NDArray[np.int64]
Context = Literal["stream", "text"]


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


def count_orders(tokens: Tokens, order: int, vocabulary: int) -> Iterator[Order]:
    """Count the n-grams of orders 1 to `order`; none reaches over the beginning of a text."""
    nothing = np.zeros(vocabulary, dtype=np.int64)
    count = np.bincount(tokens.ids[tokens.before > 0], minlength=vocabulary)
    yield Order(np.arange(vocabulary), nothing, count, nothing)
    numbers = tokens.ids  # of the n-gram that ends at each position
    for n in range(2, order + 1):
        ends = np.flatnonzero(tokens.before >= n - 1)
        keys, inverse, count = np.unique(
            numbers[ends - 1] * vocabulary + tokens.ids[ends], return_inverse=True, return_counts=True
        )
        suffix = np.empty(len(keys), dtype=np.int64)
        suffix[inverse] = numbers[ends]
        leading = np.bincount(inverse[tokens.before[ends] == n - 1], minlength=len(keys))
        yield Order(keys, suffix, count, leading)
        numbers = np.full(len(tokens), -1, dtype=np.int64)
        numbers[ends] = inverse
