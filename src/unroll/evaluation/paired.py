"""Two runs on one test set: how they differ, and how much of that is chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from unroll.errors import UserError
from unroll.evaluation.bootstrap import FEWEST, LEVEL, RESAMPLES, SEED, interval, p_value
from unroll.evaluation.measures import BY_KEY, COMPARED
from unroll.evaluation.results import read_results
from unroll.evaluation.scores import count_texts, figures, resampled
from unroll.evaluation.significance import REFERENCES_FILE, SCORES_FILE, Scored, read_scored
from unroll.mistakes import did_you_mean


@dataclass(frozen=True)
class Difference:
    """A figure of two runs."""

    key: str
    first: float
    second: float
    interval: tuple[float, float]
    """95% of what the second is more than the first."""
    p: float
    """How likely as large a difference is by chance."""


@dataclass(frozen=True)
class Paired:
    """Two runs over the same texts."""

    runs: tuple[str, str]
    texts: int
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "runs": list(self.runs),
            "texts": self.texts,
            "resamples": RESAMPLES,
            "seed": SEED,
            "figures": {
                found.key: {
                    "values": [found.first, found.second],
                    "difference": found.second - found.first,
                    "interval": list(found.interval),
                    "p": found.p,
                }
                for found in self.differences
            },
        }

    def to_terminal(self) -> RenderableType:
        """A table for a rich console."""
        grid = Grid(box=SIMPLE_HEAD, padding=0, show_edge=False)
        grid.add_column("", no_wrap=True)
        for heading in (*self.runs, "difference", "95% interval", "p"):
            grid.add_column(heading, justify="right", overflow="fold")
        for found in self.differences:
            show = BY_KEY[found.key].show
            difference, low, high = (_signed(show, value) for value in (found.second - found.first, *found.interval))
            p = Text(f"{found.p:.3f}", style="bold" if found.p < LEVEL else "")
            grid.add_row(
                BY_KEY[found.key].label, show(found.first), show(found.second), difference, f"{low} to {high}", p
            )
        return Group(grid, Text(""), Text(self._remark(), style="dim"))

    def _remark(self) -> str:
        first, second = self.runs
        return (
            f"The difference is {second} less {first}. Paired bootstrap (Koehn, 2004) over the {self.texts:,} test "
            f"texts, {RESAMPLES:,} resamples, seed {SEED}: p is how likely as large a difference is, in either "
            "direction, by chance in the choice of the texts. It does not know how training varies with the seed."
        )


def _signed(show: Callable[[float], str], value: float) -> str:
    return f"{'−' if value < 0 else '+'}{show(abs(value))}"


def compare_two(first: str, second: str, results: Path, predictions: Path) -> Paired:
    """Two runs by name, from what their evaluations wrote below the folders `results` and `predictions`.

    Raises `UserError` if one has not been evaluated, or if they were measured over other texts or in another way.
    """
    runs = (first, second)
    measured = [_measured(name, results) for name in runs]
    scored = [_scored(name, predictions) for name in runs]
    _check_alike(runs, measured)
    if scored[0].texts != scored[1].texts:
        raise UserError(_other_texts(runs, scored, predictions))
    texts = count_texts(scored[0].statistics)
    if texts < FEWEST:
        raise UserError(
            f"{first} and {second} share a test set of {texts} text{'' if texts == 1 else 's'}; it takes {FEWEST} or "
            "more to tell how texts vary"
        )
    values = [
        resampled([key for key in COMPARED if key in metrics["test"]], run.statistics)
        for metrics, run in zip(measured, scored, strict=True)
    ]
    for name, found in zip(runs, values, strict=True):
        if not found:
            raise UserError(f"{name}: has no figure that compares; a unit that can be undone has bits per character")
    differences = []
    for key in (key for key in values[0] if key in values[1]):
        difference = values[1][key] - values[0][key]
        one, other = (figures([key], run.statistics)[key] for run in scored)
        differences.append(Difference(key, one, other, interval(difference), p_value(difference)))
    return Paired(runs, texts, tuple(differences))


def _measured(name: str, results: Path) -> Mapping[str, Any]:
    found = read_results(results / name)
    if found is None:
        evaluated = sorted(path.parent.name for path in results.glob("*/metrics.json"))
        raise UserError(f"{name}: no evaluated run{did_you_mean(name, evaluated)}; dvc repro evaluates it")
    return found.metrics


def _scored(name: str, predictions: Path) -> Scored:
    found = read_scored(predictions / name)
    if found is None:
        raise UserError(f"{predictions / name / SCORES_FILE}: no such file; dvc repro evaluate@{name} writes it")
    return found


def _check_alike(runs: tuple[str, str], measured: Sequence[Mapping[str, Any]]) -> None:
    """Raise `UserError` unless both are models of the same task and were measured in the same way."""
    signatures = [metrics.get("signature") for metrics in measured]
    if None in signatures and signatures != [None, None]:
        model, pairs = runs if signatures[0] is None else runs[::-1]
        raise UserError(f"{model} is a language model, {pairs} turns one text into another; nothing of theirs compares")
    if signatures == [None, None]:
        ways = [("context", *(metrics["test"]["context"] for metrics in measured))]
    else:
        keys = sorted({key for found in signatures if found for key in found})
        ways = [(key, *(found.get(key, "not measured") for found in signatures if found)) for key in keys]
    others = [(key, one, other) for key, one, other in ways if one != other]
    if others:
        first, second = runs
        raise UserError(
            f"{first} and {second} were measured in other ways: {key} is {one} of {first}, {other} of {second}"
            for key, one, other in others
        )


def _other_texts(runs: tuple[str, str], scored: Sequence[Scored], predictions: Path) -> str:
    """Where the test texts of two runs differ."""
    counts = [count_texts(run.statistics) for run in scored]
    files = [predictions / name / REFERENCES_FILE for name in runs]
    where = f"they have {counts[0]:,} and {counts[1]:,}"
    if counts[0] == counts[1] and all(path.is_file() for path in files):
        pairs = zip(*(path.read_text(encoding="utf-8").split("\n") for path in files), strict=True)
        line = next(n for n, (one, other) in enumerate(pairs, start=1) if one != other)
        where = f"their references first differ in line {line:,}"
    elif counts[0] == counts[1]:
        where = "their texts have other lengths"
    return f"{runs[0]} and {runs[1]} were evaluated on other test texts: {where}; they compare on one test set only"
