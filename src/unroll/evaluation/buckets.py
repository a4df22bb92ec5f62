"""Scores of parts of a test set: by the length of the source, and by the tokens in it that the model does not know."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from unroll.evaluation.scores import Statistics, figures, intervals

WORDS = (5, 10, 20, 40, 80, 160, 320)  # the last number of words of each bucket; longer sources are in one more
UNKNOWN = (0, 1, 2)


@dataclass(frozen=True)
class Bucket:
    """The figures of some of the sentences; `interval` is the 95% one of the first figure, if they suffice for it."""

    name: str
    sentences: int
    figures: dict[str, float]
    interval: tuple[float, float] | None


def buckets(numbers: Sequence[int], last: Sequence[int], keys: Sequence[str], statistics: Statistics) -> list[Bucket]:
    """The figures `keys` of the sentences whose number is at most last[0], at most last[1], ..., or larger than all.

    Buckets without sentences are left out.
    """
    places = np.searchsorted(last, numbers)
    found = []
    for place, name in enumerate(_names(last)):
        rows = np.flatnonzero(places == place)
        if len(rows):
            part = {column: values[rows] for column, values in statistics.items()}
            interval = intervals(keys[:1], part).get(keys[0])
            found.append(Bucket(name, len(rows), figures(keys, part), interval))
    return found


def _names(last: Sequence[int]) -> Iterable[str]:
    """Names that every tool for metrics takes, MLflow among them: no sign but - and _."""
    first = 0
    for number in last:
        yield str(number) if number == first else f"{first}-{number}"
        first = number + 1
    yield f"over_{last[-1]}"


def as_metrics(found: Iterable[Bucket]) -> dict[str, dict[str, float]]:
    """The figures of each bucket by its name."""
    return {bucket.name: {"sentences": bucket.sentences, **bucket.figures} for bucket in found}
