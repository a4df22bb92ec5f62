"""Figures of a run, as PNG. The same numbers give the same bytes with the same version of Matplotlib."""

import csv
import io
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from unroll.text.tokenizer import JOINER

DPI = 120
TRAIN, VALID, FAINT = "#4477aa", "#cc4455", "#888888"
# Paul Tol's bright scheme, told apart by the colour-blind too.
COLOURS = ("#4477aa", "#ee6677", "#228833", "#aa3377", "#ccbb44", "#66ccee")

# DejaVu Sans comes with Matplotlib and has Latin, Greek and Cyrillic; for other scripts, what the machine has.
_FALLBACKS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Noto Sans", "Arial Unicode MS")

Scale = Literal["perplexity", "bits"]
Curve = list[tuple[int, float]]
"""(step, nats a token), or (step, score)."""
SCORES = {"bleu": "BLEU", "rougeL": "ROUGE-L"}
"""What validation may have been scored by, and how it is written."""


def read_history(path: Path) -> dict[str, Curve]:
    """The losses of `history.csv` as curves `train` and `valid`, and the score of validation under its name if it has
    one: each with the rows that have a number."""
    columns = {"train": "train_loss", "valid": "valid_loss"}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns |= {name: f"valid_{name}" for name in SCORES if f"valid_{name}" in (reader.fieldnames or ())}
        curves: dict[str, Curve] = {name: [] for name in columns}
        for row in reader:
            for name, column in columns.items():
                if row[column]:
                    curves[name].append((int(row["step"]), float(row[column])))
    return curves


def learning_curve(curves: Mapping[str, Curve], scale: Scale) -> bytes:
    """Training and validation loss over steps, as perplexity (logarithmic axis) or bits a token; below it the score of
    validation, if there is one."""
    scored = [name for name in SCORES if curves.get(name)]

    def draw(figure: Figure) -> None:
        above, *below = figure.subplots(1 + len(scored), sharex=True, squeeze=False)[:, 0]
        _draw_losses(above, curves, scale)
        for axes, name in zip(below, scored, strict=True):
            axes.plot(*zip(*curves[name], strict=True), color=VALID, marker="o", markersize=3, linewidth=1.4)
            step, best = max(curves[name], key=lambda point: point[1])
            _draw_best(axes, best, step)
            axes.set(ylabel=f"{SCORES[name]} of validation")
            axes.grid(True, color=FAINT, alpha=0.2)
        [above, *below][-1].set_xlabel("step")

    return png(draw, 7, 4 + 2 * len(scored))


def _draw_losses(axes: Axes, curves: Mapping[str, Curve], scale: Scale) -> None:
    for name, colour in (("train", TRAIN), ("valid", VALID)):
        if curves[name]:
            steps, nats = np.array(curves[name]).T
            values = _scaled(nats, scale)
            axes.plot(steps, values, color=colour, marker="o", markersize=3, linewidth=1.4, label=name)
    if curves["valid"]:
        step, nats = min(curves["valid"], key=lambda point: point[1])
        best = float(_scaled(np.array(nats), scale))
        _draw_best(axes, best, step)
    if scale == "perplexity":
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(LogFormatter(labelOnlyBase=False))
        axes.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(1.5, 0.5)))
    axes.set(ylabel="perplexity" if scale == "perplexity" else "bits per token")
    axes.grid(True, which="both", color=FAINT, alpha=0.2)
    axes.legend(frameon=False)


def _draw_best(axes: Axes, best: float, step: int) -> None:
    axes.axhline(best, color=VALID, linewidth=0.8, linestyle=":")
    axes.set_title(f"best validation {best:.4g} at step {step}", loc="right", fontsize=9, color=VALID)


def _scaled(nats: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    # A loss above 100 nats a token has left any scale; Matplotlib would overflow.
    return np.exp(np.minimum(nats, 100)) if scale == "perplexity" else nats / math.log(2)


def length_histogram(lengths: Mapping[str, NDArray[np.int64]], max_length: int) -> bytes:
    """How long training texts are: units of each text, its end included, by label; a line at `max_length` units."""

    def draw(axes: Axes) -> None:
        longest = max(max(values.max() for values in lengths.values()), max_length + 1)
        # Whole numbers that grow by about a quarter.
        edges = np.unique(np.geomspace(1, longest + 1, 1 + round(math.log(longest + 1, 1.25))).round())
        for (label, values), colour in zip(lengths.items(), (TRAIN, VALID), strict=False):
            counts, _ = np.histogram(values, edges)
            axes.stairs(counts, edges, fill=True, color=colour, alpha=0.25)
            axes.stairs(counts, edges, color=colour, label=label)
        axes.axvline(max_length + 1, color=FAINT, linestyle="--", linewidth=1, label=f"max_length {max_length:,}")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="units of a text, its end included", ylabel="training texts in a bin")
        axes.grid(True, color=FAINT, alpha=0.2)
        axes.legend(frameon=False)

    return _png(draw, 7, 3.5)


def alignment(weights_TS: NDArray[np.float64], source: Sequence[str], target: Sequence[str], remark: str = "") -> bytes:
    """A heat map of where each target token (rows) looked among the source tokens (columns); `remark` stands below."""

    def draw(axes: Axes) -> None:
        image = axes.imshow(weights_TS, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        axes.set_xticks(range(len(source)), drawable(source), rotation=90)
        axes.set_yticks(range(len(target)), drawable(target))
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_parse_math(False)  # a token may hold dollar signs
        axes.set_xticks(np.arange(len(source) - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(len(target) - 1) + 0.5, minor=True)
        axes.grid(True, which="minor", color="white", linewidth=1)
        axes.tick_params(which="minor", length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel(remark)
        assert axes.figure is not None
        axes.figure.colorbar(image, ax=axes, shrink=0.6, label="attention")

    return _png(draw, 2.5 + 0.34 * len(source), 1.5 + 0.34 * len(target))


def drawable(tokens: Sequence[str]) -> list[str]:
    """Tokens with a like sign for the joiner's mark, which few fonts have."""
    return [token.replace(JOINER, "▪") for token in tokens]


def _png(draw: Callable[[Axes], None], width: float, height: float) -> bytes:
    """One pair of axes as `draw` fills it; as in `png`."""
    return png(lambda figure: draw(figure.add_subplot()), width, height)


def png(draw: Callable[[Figure], None], width: float, height: float) -> bytes:
    """A figure of `width` by `height` inches as `draw` fills it, whatever style the user has set."""
    present = set(font_manager.get_font_names())
    fonts = ["DejaVu Sans", *(font for font in _FALLBACKS if font in present)]
    file = io.BytesIO()
    with matplotlib.style.context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        matplotlib.rcParams["font.family"] = fonts
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        draw(figure)
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
