"""How generated text differs from real text: new words, copied spans, variety, repetition."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unroll.evaluation.spans import SharedSpan
from unroll.evaluation.words import words

Texts = Sequence[Sequence[str]]
"""Texts as lists of words."""


@dataclass(frozen=True)
class Fluency:
    """Figures of some texts, and the longest span of words that they share with the training text.

    `new_words`: share of words that the training text has nowhere; `longest_copy`: words of `copied`;
    `distinct_N`: distinct N-grams over all N-grams (Li et al., 2016); `repetition`: share of 4-grams that have come
    before in the same text. A share of nothing is missing.
    """

    figures: dict[str, float | int]
    copied: str


def fluency(groups: Mapping[str, Texts], training: Iterable[str]) -> dict[str, Fluency]:
    """The figures of each group of texts; `training` is read once."""
    spans = {name: SharedSpan(texts) for name, texts in groups.items()}
    for text in training:
        read = words(text)
        for span in spans.values():
            span.read(read)
    return {name: _fluency(texts, spans[name]) for name, texts in groups.items()}


def real_sample(texts: Sequence[str], size: int, seed: int) -> list[list[str]]:
    """The first `size` words of `texts` in an order drawn by `seed`, fewer if there are not so many."""
    sample: list[list[str]] = []
    for place in np.random.default_rng(seed).permutation(len(texts)):
        if size <= 0:
            break
        sample.append(words(texts[place])[:size])
        size -= len(sample[-1])
    return sample


def _fluency(texts: Texts, span: SharedSpan) -> Fluency:
    flat = [word for text in texts for word in text]
    shares = {"new_words": (sum(word in span.unseen for word in flat), len(flat))}
    for n in (1, 2, 3):
        grams = [gram for text in texts for gram in _grams(text, n)]
        shares[f"distinct_{n}"] = (len(set(grams)), len(grams))
    fours = [_grams(text, 4) for text in texts]
    shares["repetition"] = (sum(len(four) - len(set(four)) for four in fours), sum(map(len, fours)))
    figures: dict[str, float | int] = {"words": len(flat), "longest_copy": len(span.span)}
    figures |= {name: part / whole for name, (part, whole) in shares.items() if whole}
    return Fluency(figures, " ".join(span.span))


def _grams(text: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(text[start:] for start in range(n)), strict=False))
