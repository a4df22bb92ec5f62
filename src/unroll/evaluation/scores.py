"""Figures of a whole test set from sums over its texts.

Each text has some counts (`Statistics`); a figure of any texts is a function of the sums of theirs. So one reading of
the texts gives the figures of all of them, of any part of them, and of any resample. BLEU, chrF and TER are sacrebleu's
own functions.

N texts, R resamples.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unroll.evaluation.bootstrap import FEWEST, interval, resampled_sums

Numbers = NDArray[np.float64]
Statistics = Mapping[str, Numbers]
"""A number of each text (N,), by the name of its column."""
TEXTS = "texts"  # a column that need not be there: 1 of each text


@dataclass(frozen=True)
class Score:
    """A figure as a function of the sums over `columns`; NaN where it is undefined."""

    columns: tuple[str, ...]
    of_sums: Callable[[Sequence[float]], float]


def _ratio(sums: Sequence[float], scale: float = 1) -> float:
    *parts, whole = sums
    return sum(parts) * scale / whole if whole else math.nan


def _word_perplexity(sums: Sequence[float]) -> float:
    try:
        return math.exp(_ratio(sums))
    except OverflowError:
        return math.inf


def _sacrebleu(name: str, sums: Sequence[float]) -> float:
    # sacrebleu takes a while to import; what does without it should.
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    metric: Any = {"bleu": BLEU, "chrf": CHRF, "ter": TER}[name]()
    return float(metric._compute_score_from_stats(list(sums)).score)


def _bleu_of_order(order: int, sums: Sequence[float]) -> float:
    from sacrebleu.metrics.bleu import BLEU

    metric: Any = BLEU(max_ngram_order=order)
    return float(metric._compute_score_from_stats(list(sums)).score)


def _columns(key: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{key}_{name}" for name in names)


LENGTHS = ("hypothesis_tokens", "reference_tokens")
# Columns are in the order in which sacrebleu itself keeps its statistics.
_NGRAMS = tuple(f"{part}_{n}" for part in ("correct", "total") for n in range(1, 5))
_BLEU_N = {
    n: (*LENGTHS, *(f"bleu_{part}_{k}" for part in ("correct", "total") for k in range(1, n + 1))) for n in range(1, 5)
}
_CHARACTER_NGRAMS = tuple(f"{part}_{n}" for n in range(1, 7) for part in ("hypothesis", "reference", "match"))

SCORES: dict[str, Score] = {
    "bits_per_char": Score(("nats", "unknown_nats", "chars"), partial(_ratio, scale=1 / math.log(2))),
    "word_perplexity": Score(("nats", "unknown_nats", "words"), _word_perplexity),
    "bleu": Score((*LENGTHS, *_columns("bleu", *_NGRAMS)), partial(_sacrebleu, "bleu")),
    **{f"bleu{n}": Score(columns, partial(_bleu_of_order, n)) for n, columns in _BLEU_N.items()},
    "bleu_lc": Score(_columns("bleu_lc", *LENGTHS, *_NGRAMS), partial(_sacrebleu, "bleu")),
    "chrf": Score(_columns("chrf", *_CHARACTER_NGRAMS), partial(_sacrebleu, "chrf")),
    "ter": Score(_columns("ter", "edits", "reference_words"), partial(_sacrebleu, "ter")),
    **{key: Score((key, TEXTS), _ratio) for key in ("rouge1", "rouge2", "rougeL", "cider", "exact")},
    "length_ratio": Score(LENGTHS, _ratio),
}


def count_texts(statistics: Statistics) -> int:
    """N."""
    return len(next(iter(statistics.values())))


def figures(keys: Iterable[str], statistics: Statistics, rows: NDArray[np.intp] | None = None) -> dict[str, float]:
    """The figures of all texts, or of those in `rows`; what is undefined, or has no columns, is missing."""
    chosen = np.arange(count_texts(statistics)) if rows is None else rows
    found = {}
    for key in _there(keys, statistics):
        score = SCORES[key]
        sums = [float(len(chosen)) if c == TEXTS else math.fsum(statistics[c][chosen]) for c in score.columns]
        found[key] = score.of_sums(sums)
    return {key: value for key, value in found.items() if not math.isnan(value)}


def resampled(keys: Iterable[str], statistics: Statistics) -> dict[str, Numbers]:
    """Each figure of each resample (R,); one that is not finite in all of them, or has no columns, is missing.

    Nothing if there are fewer than `FEWEST` texts.
    """
    texts, there = count_texts(statistics), _there(keys, statistics)
    columns = list(dict.fromkeys(column for key in there for column in SCORES[key].columns))
    if texts < FEWEST or not columns:
        return {}
    values_NK = np.stack([np.ones(texts) if c == TEXTS else statistics[c] for c in columns], axis=1)
    sums = dict(zip(columns, resampled_sums(values_NK).T, strict=True))
    values = {}
    for key in there:
        rows = zip(*(sums[column].tolist() for column in SCORES[key].columns), strict=True)
        values[key] = np.array([SCORES[key].of_sums(row) for row in rows])
    return {key: found for key, found in values.items() if np.isfinite(found).all()}


def _there(keys: Iterable[str], statistics: Statistics) -> list[str]:
    """Those of `keys` that are made of sums over texts, which are in `statistics`."""
    there = {*statistics, TEXTS}
    return [key for key in keys if key in SCORES and there.issuperset(SCORES[key].columns)]


def intervals(keys: Iterable[str], statistics: Statistics) -> dict[str, tuple[float, float]]:
    """The 95% bootstrap interval of each figure that `resampled` has."""
    return {key: interval(values) for key, values in resampled(keys, statistics).items()}
