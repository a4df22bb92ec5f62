"""CIDEr-D: how much a caption says what most people say of an image, and others do not (Vedantam et al., 2015).

    g_n(c)    the vector of the n-grams w of a caption c:  count of w in c  *  log(I / max(1, df(w)))
    s_n(c, r) sum of min(g_n(c), g_n(r)) g_n(r) over w, by |g_n(c)| |g_n(r)|, times exp(-(|c| - |r|)^2 / (2 sigma^2))
    CIDEr-D   10 times the mean of s_n(c, r) over the references r and over n from 1 to 4

I images, df(w) those of them of which some reference has w; |c| words; sigma = 6. An n-gram that every image has weighs
nothing: of one image alone every score is 0.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

N, SIGMA, SCALE = 4, 6.0, 10.0
SIGNATURE = f"CIDEr-D|n:1-{N}|sigma:{SIGMA:g}|df:test references|x100"

Words = Sequence[str]
Gram = tuple[str, ...]


def cider(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> NDArray[np.float64]:
    """CIDEr-D of each caption (I,), from 0 to 10, against the references of its image."""
    found = np.zeros(len(captions))
    for n in range(1, N + 1):
        grams = [[_grams(reference, n) for reference in several] for several in references]
        frequency = Counter(gram for several in grams for gram in set().union(*several))
        weight = {gram: math.log(len(references) / count) for gram, count in frequency.items()}
        unseen = math.log(len(references))
        for image, (caption, several) in enumerate(zip(captions, references, strict=True)):
            mine = _vector(_grams(caption, n), weight, unseen)
            theirs = [_vector(gram, weight, unseen) for gram in grams[image]]
            likeness = [
                _likeness(mine, other) * math.exp(-((len(caption) - len(reference)) ** 2) / (2 * SIGMA**2))
                for other, reference in zip(theirs, several, strict=True)
            ]
            found[image] += SCALE / N * sum(likeness) / len(likeness)
    return found


def _grams(words: Words, n: int) -> Counter[Gram]:
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))


def _vector(grams: Counter[Gram], weight: dict[Gram, float], unseen: float) -> dict[Gram, float]:
    return {gram: count * weight.get(gram, unseen) for gram, count in grams.items()}


def _likeness(mine: dict[Gram, float], other: dict[Gram, float]) -> float:
    """The cosine, where the caption counts no n-gram more often than the reference does."""
    shared = sum(min(value, other[gram]) * other[gram] for gram, value in mine.items() if gram in other)
    norms = _norm(mine) * _norm(other)
    return shared / norms if norms else 0.0


def _norm(vector: dict[Gram, float]) -> float:
    return math.sqrt(sum(value * value for value in vector.values()))
