"""The norm of the gradient by time lag: its numbers as CSV, and its figures. How it is computed: gradients.py."""

import csv
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unroll.evaluation.figures import COLOURS, FAINT, TRAIN, png
from unroll.evaluation.findings import as_csv

FILE = "gradients.csv"  # in a run's folder of figures
LINES = ("-", "--", ":", "-.")  # tell runs apart for which there is no colour left
DEEPEST = 1e-10  # of the largest value: what is smaller is not drawn

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Lags:
    """The norm at lags 0, 1, ...: over places of the text its mean, and what a tenth of them are below and above."""

    mean: Values
    low: Values
    high: Values

    @classmethod
    def of(cls, norms_NK: Values) -> "Lags":
        """Of `norms_NK`, a row a place, with NaN where a lag leads out of the text; every lag has some number."""
        low, high = np.nanquantile(norms_NK, [0.1, 0.9], axis=0)
        return cls(np.nanmean(norms_NK, axis=0), low, high)

    def first_below(self, share: float) -> int | None:
        """The first lag whose mean is below `share` of that at lag 0."""
        below = np.flatnonzero(self.mean < share * self.mean[0])
        return int(below[0]) if len(below) else None

    def to_csv(self) -> str:
        """A line a lag. DVC draws the last column, the mean."""
        rows = enumerate(zip(self.low, self.high, self.mean, strict=True))
        return as_csv(("lag", "low", "high", "mean"), ((lag, *(f"{value:.6g}" for value in row)) for lag, row in rows))


def read_lags(path: Path) -> Lags:
    """What `Lags.to_csv` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return Lags(*(np.array([float(row[name]) for row in rows]) for name in ("mean", "low", "high")))


def run_figure(lags: Lags, unit: str) -> bytes:
    """The decay of one run, with the range that holds four places in five."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        steps = np.arange(len(lags.mean))
        axes.fill_between(steps, _drawn(lags.low), _drawn(lags.high), color=TRAIN, alpha=0.18, linewidth=0)
        axes.plot(steps, _drawn(lags.mean), color=TRAIN, linewidth=1.6)
        falls = [(word, lags.first_below(share)) for word, share in (("a tenth", 0.1), ("a hundredth", 0.01))]
        told = [f"below {word} from lag {lag} on" for word, lag in falls if lag is not None]
        axes.set_title(", ".join(told) or "never below a tenth", loc="right", fontsize=9, color=TRAIN)
        _label(axes, f"lag k in tokens ({unit})", lags.mean)

    return png(draw, 7, 4)


def common_figure(runs: Mapping[str, tuple[str, Lags]]) -> bytes:
    """The decays of several runs, by name with the unit of each; the legend in the order of their ends."""
    drawn = itertools.product(LINES, COLOURS)
    styles = dict(zip(runs, itertools.cycle(drawn), strict=False))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for name, (unit, lags) in sorted(runs.items(), key=lambda item: -item[1][1].mean[-1]):
            line, colour = styles[name]
            steps = np.arange(len(lags.mean))
            label = f"{name} ({unit})"
            axes.plot(steps, _drawn(lags.mean), linestyle=line, color=colour, linewidth=1.6, label=label)
        _label(axes, "lag k in tokens of each run's unit", np.concatenate([lags.mean for _, lags in runs.values()]))
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

    return png(draw, 9, 4.5)


def _drawn(values: Values) -> Values:
    """Without zeros, which a logarithmic axis does not have."""
    return np.where(values > 0, values, np.nan)


def _label(axes: Axes, lag: str, mean: Values) -> None:
    axes.set_yscale("log")
    positive = mean[mean > 0]
    if len(positive) and positive.min() < positive.max() * DEEPEST:
        axes.set_ylim(bottom=positive.max() * DEEPEST)
    axes.set_xlim(left=0)
    axes.set(xlabel=lag, ylabel=r"$\|\,\partial\,\mathrm{loss}_t\,/\,\partial h_{t-k}\|$ in nats")
    axes.grid(True, which="major", color=FAINT, alpha=0.25)
