"""Which rows of a table do not differ significantly from its best: paired bootstrap over the test texts.

R resamples.
"""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unroll.evaluation.bootstrap import interval, p_value
from unroll.evaluation.measures import BY_KEY, COMPARED
from unroll.evaluation.scores import Numbers, resampled
from unroll.evaluation.tables import Row

SCORES_FILE, REFERENCES_FILE = "scores.csv", "references.txt"


@dataclass(frozen=True)
class Scored:
    """What a run left of each test text, and a digest that two runs share if they had the same texts."""

    statistics: dict[str, Numbers]
    texts: str


def read_scored(folder: Path) -> Scored | None:
    """What the evaluation of a run wrote to its folder of predictions; None if there is nothing."""
    if not (folder / SCORES_FILE).is_file():
        return None
    with (folder / SCORES_FILE).open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    columns = dict(zip(head, zip(*rows, strict=True), strict=True))
    # A column with a gap has no sum: what unknown tokens cost, say, where the unit cannot be undone.
    statistics = {name: np.array(cells, dtype=np.float64) for name, cells in columns.items() if "" not in cells}
    references = folder / REFERENCES_FILE
    if references.is_file():
        known = references.read_bytes()
    else:
        # A language model leaves no text, but the lengths of all texts.
        known = np.stack([statistics["chars"], statistics["words"]]).tobytes()
    return Scored(statistics, hashlib.sha256(known).hexdigest())


def with_significance(rows: Sequence[Row], predictions: Path) -> tuple[Row, ...]:
    """The rows of a table with the intervals of their figures, and their p-values against the best row.

    A row of several runs is resampled as their mean. Runs without predictions below the folder `predictions` get
    neither, and those that had other test texts than the best row no p-value.
    """
    found = [None if row.baseline else _resample(row, predictions) for row in rows]
    best = {key: _best(key, rows, found) for key in COMPARED}
    return tuple(
        row if mine is None else replace(row, intervals=_intervals(mine), p=_p_values(mine, best))
        for row, mine in zip(rows, found, strict=True)
    )


@dataclass(frozen=True)
class _Resampled:
    """The mean of a row's runs in each resample (R,), by the key of the figure."""

    figures: Mapping[str, Numbers]
    texts: str


def _resample(row: Row, predictions: Path) -> _Resampled | None:
    runs = [read_scored(predictions / name) for name in row.runs]
    there = [run for run in runs if run is not None]
    if len(there) < len(runs) or len({run.texts for run in there}) > 1:
        return None
    keys = [key for key in COMPARED if row.mean(key) is not None]
    values = [resampled(keys, run.statistics) for run in there]
    shared = [key for key in values[0] if all(key in figures for figures in values)]
    return _Resampled({key: np.mean([figures[key] for figures in values], axis=0) for key in shared}, there[0].texts)


def _best(key: str, rows: Sequence[Row], found: Sequence[_Resampled | None]) -> _Resampled | None:
    """The row whose figure is best; None if it has no resamples or nothing competes."""
    competing = [(row.mean(key), mine) for row, mine in zip(rows, found, strict=True) if not row.baseline]
    known = [(mean, mine) for mean, mine in competing if mean is not None]
    if len(known) < 2:
        return None
    sign = -1 if BY_KEY[key].better == "lower" else 1
    return max(known, key=lambda pair: sign * pair[0])[1]


def _intervals(mine: _Resampled) -> dict[str, tuple[float, float]]:
    return {key: interval(values) for key, values in mine.figures.items()}


def _p_values(mine: _Resampled, best: Mapping[str, _Resampled | None]) -> dict[str, float]:
    found = {}
    for key, values in mine.figures.items():
        other = best[key]
        if other is not None and other is not mine and other.texts == mine.texts and key in other.figures:
            found[key] = p_value(values - other.figures[key])
    return found
