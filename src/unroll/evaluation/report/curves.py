"""The learning curves of runs, as the page's script draws them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unroll.evaluation.figures import SCORES
from unroll.evaluation.results import Results

POINTS = 300  # of a curve
COLOURS, LINES = 8, 4  # in the style sheet
COLUMNS = {"valid": "valid_loss", "train": "train_loss", **{f"valid_{name}": f"valid_{name}" for name in SCORES}}
"""Curves, and the columns of `history.csv` that they are read from."""
LABELS = {"valid": "validation loss", "train": "training loss", "valid train": "both losses"}
LABELS |= {f"valid_{name}": f"{label} of validation" for name, label in SCORES.items()}
"""What may be drawn together, and its name."""

Point = tuple[int, float | None, float]
"""The step, minutes of training if they were recorded, and the value."""


@dataclass(frozen=True)
class Curves:
    """The course of one run."""

    run: str
    unit: str
    row: int
    """Of the table, from 0: seeds of one row look alike."""
    level: bool
    """Not trained in steps, as an n-gram, so that it has no course but where it ended."""
    points: dict[str, list[Point]]
    """By the keys of `COLUMNS`."""

    @property
    def best(self) -> Point | None:
        """The lowest validation loss."""
        return min(self.points.get("valid", ()), key=lambda point: point[2], default=None)

    @property
    def look(self) -> str:
        """The classes of its lines in the style sheet."""
        return f"colour-{self.row % COLOURS} line-{self.row // COLOURS % LINES}" + (" level" if self.level else "")

    def to_json(self) -> dict[str, Any]:
        return {"run": self.run, "unit": self.unit, "look": self.look, "level": self.level, "points": self.points}


def curves_of(run: str, unit: str, row: int, results: Results) -> Curves | None:
    """The curves of a run; None where it left no history, as a combination."""
    minutes = {int(row["step"]): row["seconds"] / 60 for row in results.timing if "seconds" in row}
    found = {}
    for name, column in COLUMNS.items():
        points = [
            (step := int(row["step"]), None if step not in minutes else float(f"{minutes[step]:.5g}"), row[column])
            for row in results.history
            if math.isfinite(row.get(column, math.nan))
        ]
        if points:
            found[name] = points
    level = not any("lr" in row for row in results.history)
    if level:
        found = {name: points[-1:] for name, points in found.items()}
    if not found:
        return None
    return Curves(run, unit, row, level, {name: _thinned(points) for name, points in found.items()})


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most `POINTS` of them, evenly, and the lowest."""
    if len(points) <= POINTS:
        return list(points)
    last = len(points) - 1
    kept = {round(n * last / (POINTS - 1)) for n in range(POINTS)}
    return [points[n] for n in sorted({*kept, min(range(len(points)), key=lambda n: points[n][2])})]


def choices(curves: Sequence[Curves]) -> dict[str, str]:
    """What can be drawn of these runs, with its name."""
    there = {name for one in curves for name in one.points}
    return {names: label for names, label in LABELS.items() if there.issuperset(names.split())}
