"""Hypotheses that need no training: what a model of pairs has to beat."""

import re
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from unroll.evaluation.pairs import Metric
from unroll.evaluation.words import words

NEAREST_ROWS = 200_000  # training pairs searched for the nearest, the first ones: bounds time and memory
SIMILARITIES = 8_000_000  # held at once

# A sentence ends at . ! or ? before a space, at their full-width sisters, and at an empty line.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|(?<=[。！？])|\n\s*\n")


def baselines(
    metric: Metric, sources: Sequence[str], train_sources: Sequence[str], train_targets: Sequence[str]
) -> dict[str, list[str]]:
    """The hypotheses of each baseline for `sources`, by its name."""
    places = nearest(train_sources[:NEAREST_ROWS], sources)
    found = {"copy": list(sources), "nearest": [train_targets[place] for place in places]}
    if metric == "rouge":
        found["first_sentence"] = [first_sentence(source) for source in sources]
        found["first_12_words"] = [" ".join(source.split()[:12]) for source in sources]
    return found


def first_sentence(text: str) -> str:
    """The text up to the end of its first sentence."""
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0]


def nearest(train: Sequence[str], texts: Sequence[str]) -> list[int]:
    """The place in `train` of the text most like each of `texts`: cosine of tf-idf over words, ties to the first."""
    vectorizer = TfidfVectorizer(analyzer=_terms)
    known = vectorizer.fit_transform(train).T.tocsr()
    wanted = vectorizer.transform(texts)
    rows = max(1, SIMILARITIES // len(train))
    places: list[int] = []
    for start in range(0, len(texts), rows):
        similarity = (wanted[start : start + rows] @ known).toarray()
        # Rounded, so that equal similarities are equal whatever the order of their sums.
        places.extend(np.round(similarity, 9).argmax(axis=1).tolist())
    return places


def _terms(text: str) -> list[str]:
    """The words of a text; a text without any is its own word, so that it finds its like."""
    return words(text) or [text.strip()]
