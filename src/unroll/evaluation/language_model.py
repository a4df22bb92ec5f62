"""The measures of a language model over raw text, the same for every unit and kind.

A text has its code points and one newline for its end as characters, and its whitespace tokens and one end a line as
words; so figures of character, subword and word models over the same text compare.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unroll.errors import UserError
from unroll.evaluation.predictors import LanguageModel
from unroll.evaluation.scores import intervals
from unroll.text.specials import UNK

Measures = dict[str, float | int | str]


class TextMeasures(NamedTuple):
    """What one text costs and how long it is."""

    nats: float
    """Of the model over all tokens, the unknown token like any other."""
    unknown_nats: float | None
    """Of spelling the unknown tokens; None if the unit cannot be undone."""
    chars: int
    words: int
    tokens: int
    """With the end of the text."""
    unknown_tokens: int


def measure(predictor: LanguageModel, texts: Sequence[str]) -> tuple[Measures, list[TextMeasures]]:
    """The measures over `texts` as one whole, and each text's share.

    Raises `UserError` if the model gives a text no finite score.
    """
    vocabulary = predictor.vocabulary
    rows = []
    for number, (text, score) in enumerate(zip(texts, predictor.score(texts), strict=True), start=1):
        if not math.isfinite(score.nats):
            raise UserError(
                f"test: text {number} scores {score.nats} nats; every text should have a finite score: "
                "did the training diverge?"
            )
        rows.append(
            TextMeasures(
                nats=score.nats,
                unknown_nats=vocabulary.unknown_nats(text),
                chars=len(text) + 1,
                words=count_words(text),
                tokens=score.tokens,
                unknown_tokens=int((vocabulary.encode(text) == UNK).sum()),
            )
        )
    return {**summarize(rows), "unit": vocabulary.unit, "context": predictor.context}, rows


def text_intervals(rows: Sequence[TextMeasures]) -> dict[str, list[float]]:
    """The 95% bootstrap interval of `bits_per_char` over the texts, if it has one."""
    columns = {name: [getattr(row, name) for row in rows] for name in ("nats", "unknown_nats", "chars")}
    known = {name: np.array(values, dtype=np.float64) for name, values in columns.items() if None not in values}
    return {key: list(ends) for key, ends in intervals(["bits_per_char"], known).items()}


def count_words(text: str) -> int:
    """Whitespace tokens, and the end of each line."""
    return len(text.split()) + text.count("\n") + 1


def summarize(rows: Sequence[TextMeasures]) -> Measures:
    """Measures of all rows together: sums first, one division at the end.

    What is charged for unknown tokens, and with it `bits_per_char` and `word_perplexity`, is missing if the unit
    cannot be undone. A perplexity beyond floating point is missing, too.
    """
    nats = math.fsum(row.nats for row in rows)
    tokens, chars = sum(row.tokens for row in rows), sum(row.chars for row in rows)
    words = sum(row.words for row in rows)
    inner = tokens - len(rows)
    unknown = sum(row.unknown_tokens for row in rows)
    found: dict[str, float | int | None] = {
        "nll_nats": nats,
        "perplexity": _exp(nats / tokens),
        "oov_rate": unknown / inner if inner else 0.0,
    }
    charges = [row.unknown_nats for row in rows if row.unknown_nats is not None]
    if len(charges) == len(rows):
        unknown_nats = math.fsum(charges)
        found["unknown_nats"] = unknown_nats
        found["bits_per_char"] = (nats + unknown_nats) / math.log(2) / chars
        found["word_perplexity"] = _exp((nats + unknown_nats) / words)
    found |= {"texts": len(rows), "chars": chars, "words": words, "tokens": tokens}
    return {name: value for name, value in found.items() if value is not None}


def _exp(value: float) -> float | None:
    try:
        return math.exp(value)
    except OverflowError:
        return None
