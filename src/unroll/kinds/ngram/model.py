"""Asking an n-gram model: backoff by binary search, for all tokens of a text at once.

Probabilities are kept as ARPA files have them, as logarithms to the base 10 in single precision.

T tokens, V vocabulary, N n-grams of one order.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unroll.kinds.ngram.counts import Ints, Tokens

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
PIECE = 1 << 18  # tokens looked up at once


@dataclass(frozen=True)
class Table:
    """The n-grams of one order: sorted `keys` (N,), as `counts` makes them, log10 p(last token | those before) (N,),
    and the log10 of its backoff as a context (N,), or none (0,) in the highest order."""

    keys: Ints
    log10p: Floats
    backoff: Floats

    def find(self, keys: Ints) -> Ints:
        """The number of each key, -1 where it is not there."""
        if not len(self.keys):
            return np.full(len(keys), -1, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places, -1)


@dataclass(frozen=True)
class NgramModel:
    """Backoff n-gram model over ids below `vocabulary`; `tables[n - 1]` holds order n.

    `fallbacks` names the orders whose discounts the counts did not define.
    """

    vocabulary: int
    tables: tuple[Table, ...]
    fallbacks: tuple[int, ...] = ()

    @property
    def order(self) -> int:
        """Tokens of the longest n-gram."""
        return len(self.tables)

    def nats(self, tokens: Tokens) -> Doubles:
        """-log p (T,) of each token given those before it in its text; 0 for what is context alone."""
        log10p = np.zeros(len(tokens))
        for start in range(0, len(tokens), PIECE):
            reach = max(0, start - self.order + 1)
            piece = slice(reach, start + PIECE)
            found = self._log10p(Tokens(tokens.ids[piece], tokens.before[piece]))
            log10p[start : start + PIECE] = found[start - reach :]
        return np.where(tokens.before > 0, -math.log(10) * log10p, 0.0)

    def _log10p(self, tokens: Tokens) -> Doubles:
        """log10 p (T,): of the longest n-gram that is known, times the backoffs of the contexts that are longer.

        Right from the place on before which `order` - 1 tokens are given.
        """
        numbers = tokens.ids  # of the (n - 1)-gram that ends at each position, -1 if it is not known
        log10p = self.tables[0].log10p[tokens.ids].astype(np.float64)
        for n in range(2, self.order + 1):
            context = np.where(tokens.before >= n - 1, np.roll(numbers, 1), -1)
            context[0] = -1  # not the last token
            known = np.flatnonzero(context >= 0)
            log10p[known] += self.tables[n - 2].backoff[context[known]]
            found = self.tables[n - 1].find(context[known] * self.vocabulary + tokens.ids[known])
            hit = found >= 0
            log10p[known[hit]] = self.tables[n - 1].log10p[found[hit]]
            numbers = np.full(len(tokens), -1, dtype=np.int64)
            numbers[known] = found
        return log10p

    def distribution(self, context: Ints) -> Doubles:
        """log10 p(w | context) (V,) of every w, from the last `order` - 1 tokens of `context`."""
        log10p = self.tables[0].log10p.astype(np.float64)
        for length in range(1, min(self.order - 1, len(context)) + 1):
            number = self._number(context[len(context) - length :])
            if number < 0:
                continue
            above = self.tables[length]
            low, high = np.searchsorted(above.keys, [number * self.vocabulary, (number + 1) * self.vocabulary])
            log10p += self.tables[length - 1].backoff[number]
            log10p[above.keys[low:high] % self.vocabulary] = above.log10p[low:high]
        return log10p

    def _number(self, gram: Ints) -> int:
        """The number of an n-gram in its order, -1 if it is not there."""
        number = int(gram[0])
        for table, token in zip(self.tables[1:], gram[1:].tolist(), strict=False):
            if number >= 0:
                number = int(table.find(np.array([number * self.vocabulary + token]))[0])
        return number
