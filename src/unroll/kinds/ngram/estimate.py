"""Interpolated modified Kneser-Ney smoothing.

Chen and Goodman (1998), An Empirical Study of Smoothing Techniques for Language Modeling, section 3, with the beginning
of a text, the uniform distribution and the fallback as in KenLM (Heafield et al., 2013, Scalable Modified Kneser-Ney
Language Model Estimation).

With a(g) the adjusted count of an n-gram g = c w, that is how often it occurs, for the longest n-grams, and for
shorter ones how many distinct tokens come before it, plus how often a text begins with it:

    p(w | c) = (a(c w) - D(a(c w))) / A(c) + b(c) p(w | c without its first token)
    b(c) = (D(1) N1(c) + D(2) N2(c) + D(3+) N3+(c)) / A(c)

where A(c) is the sum of a(c w) over all w, and Nk(c) counts those w for which a(c w) is k. Below unigrams comes the
uniform distribution over all that can be predicted, the unknown token included: nothing has probability zero.

N distinct n-grams of one order, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unroll.kinds.ngram.counts import Ints, Order
from unroll.kinds.ngram.model import NgramModel, Table
from unroll.text.specials import BOS, PAD

Floats = NDArray[np.float64]
FALLBACK = (0.5, 1.0, 1.5)
"""D(1), D(2) and D(3+) where counts define none; those of KenLM's `--discount_fallback`."""


@dataclass(frozen=True)
class _Level:
    """One order, estimated: its n-grams, their probabilities (N,), and the backoffs of the order below."""

    grams: Order
    probability: Floats
    below: Floats
    fallback: bool


def estimate(orders: Sequence[Order], vocabulary: int) -> Iterator[NgramModel]:
    """The models of order 1, 2, ... up to that of all `orders`, over ids below `vocabulary`.

    PAD and `<s>` are never predicted. `NgramModel.fallbacks` names the orders to which `FALLBACK` applies.
    """
    lower: list[_Level] = []
    for n, grams in enumerate(orders, start=1):
        yield _model(vocabulary, [*lower, _level(grams, grams.count, lower, vocabulary)])
        if n < len(orders):
            preceding = np.bincount(orders[n].suffix, minlength=len(grams.keys))
            lower.append(_level(grams, preceding + grams.leading, lower, vocabulary))


def discounts_of(adjusted: Ints) -> Floats | None:
    """D(0), D(1), D(2), D(3+) of one order with these `adjusted` counts (N,); None if they define none.

    Chen and Goodman (1998), equation 26: Y = t1 / (t1 + 2 t2) and D(k) = k - (k + 1) Y t(k+1) / t(k), with t(k) how
    many n-grams have the count k. Small or artificial text may lack a count, or give a discount that is not in (0, k].
    """
    t = np.bincount(np.minimum(adjusted, 5), minlength=6).astype(np.float64)
    if not t[1:4].all():
        return None
    y = t[1] / (t[1] + 2 * t[2])
    k = np.arange(4)
    discounts = np.append(0.0, k[1:] - (k[1:] + 1) * y * t[2:5] / t[1:4])
    return discounts if (discounts[1:] > 0).all() and (discounts <= k).all() else None


def _level(grams: Order, adjusted: Ints, lower: Sequence[_Level], vocabulary: int) -> _Level:
    defined = discounts_of(adjusted)
    discounts = np.array([0.0, *FALLBACK]) if defined is None else defined
    discount = discounts[np.minimum(adjusted, 3)]
    if not lower:
        probability = _unigrams(adjusted, discount)
        return _Level(grams, probability, np.zeros(0), defined is None)
    contexts = len(lower[-1].grams.keys)
    context = grams.keys // vocabulary
    total = np.bincount(context, weights=adjusted, minlength=contexts)
    removed = np.bincount(context, weights=discount, minlength=contexts)
    backoff = np.divide(removed, total, out=np.ones(contexts), where=total > 0)
    probability = (adjusted - discount) / total[context] + backoff[context] * lower[-1].probability[grams.suffix]
    return _Level(grams, probability, backoff, defined is None)


def _unigrams(adjusted: Ints, discount: Floats) -> Floats:
    total = adjusted.sum()
    predicted = np.ones(len(adjusted), dtype=bool)
    predicted[[PAD, BOS]] = False
    return np.where(predicted, (adjusted - discount + discount.sum() / predicted.sum()) / total, 0.0)


def _model(vocabulary: int, levels: Sequence[_Level]) -> NgramModel:
    backoffs = [*(level.below for level in levels[1:]), np.zeros(0)]
    tables = (
        Table(level.grams.keys, _log10(level.probability), _log10(backoff))
        for level, backoff in zip(levels, backoffs, strict=True)
    )
    fallbacks = (n for n, level in enumerate(levels, start=1) if level.fallback and len(level.grams.keys))
    return NgramModel(vocabulary, tuple(tables), tuple(fallbacks))


def _log10(values: Floats) -> NDArray[np.float32]:
    with np.errstate(divide="ignore"):  # the logarithm of zero is what is meant
        return np.minimum(np.log10(values), 0.0).astype(np.float32)
