"""Tables of runs: what a row and a column are, and how they look as Markdown, as JSON and on a terminal."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from unroll.evaluation.bootstrap import LEVEL, RESAMPLES
from unroll.evaluation.measures import MEASURES, Measure, in_one_line
from unroll.evaluation.results import Results
from unroll.files import whole_file, whole_folder, write_json

NOTHING = "–"
UNITS = (
    "Bits per character and word perplexity are over the same raw text and compare; a perplexity counts the run's own "
    "units and compares among equal units only. Runs of another context are in another table."
)
BASELINES = "Baselines, which need no training: "
GRADIENTS = (
    "The norm of the gradient of one token's loss with respect to the top layer's hidden state k tokens before, a mean "
    "over places of the test text. Where it falls steeply the network cannot learn from what is farther back."
)
SEEDS = (
    "± is the sample standard deviation over runs that differ in nothing but `seed`, and their row is the mean. A row "
    "without it is one seed: a small difference to it may be chance."
)
MARK = "≈"
MARKED = f"{MARK} does not differ significantly from the best of its column (p ≥ {LEVEL:g}, two-sided)."
BOOTSTRAP = (
    f"Intervals hold 95%, by a paired bootstrap over the test texts (Koehn, 2004; {RESAMPLES:,} resamples): what "
    "chance is in the choice of the texts, not in training."
)
INTERVAL = "95%\ninterval"


@dataclass(frozen=True)
class Row:
    """Runs that differ in nothing but `seed` (often one), or a baseline."""

    runs: tuple[str, ...]
    """Names of the runs; of a baseline its own name."""
    values: tuple[Mapping[str, float], ...]
    """Figures by the keys of `MEASURES`, of each run."""
    cell: str = ""
    unit: str = ""
    baseline: bool = False
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The 95% bootstrap interval of figures, by key; what cannot be resampled has none."""
    p: Mapping[str, float] = field(default_factory=dict)
    """How likely as large a difference to the best row is by chance, by key; none for the best row."""

    @property
    def name(self) -> str:
        return ", ".join(self.runs)

    def figures(self, key: str) -> list[float]:
        """The figure `key` of each run that has it."""
        return [values[key] for values in self.values if key in values]

    def mean(self, key: str) -> float | None:
        figures = self.figures(key)
        return fmean(figures) if figures else None

    def spread(self, key: str) -> float | None:
        """Sample standard deviation over the runs; None for a single one."""
        figures = self.figures(key)
        return stdev(figures) if len(figures) > 1 else None


@dataclass(frozen=True)
class Column:
    """A figure of the rows, or its 95% interval."""

    measure: Measure
    interval: bool = False

    @property
    def heading(self) -> str:
        return INTERVAL if self.interval else self.measure.heading

    @property
    def label(self) -> str:
        return in_one_line(self.heading)


@dataclass(frozen=True)
class Cell:
    """A figure of a row as text."""

    text: str
    figure: float | None
    """Exact; of an interval its lower end; None where there is nothing."""
    best: bool = False
    """Of its column."""


@dataclass(frozen=True)
class Table:
    """Rows that rank together: the same test text, measured the same way."""

    task: str
    subject: str
    """The test text: its corpus and columns."""
    condition: str
    """How it was measured: the context of a language model, the signatures of the scores of pairs."""
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        if self.task == "language_model":
            return f"Language models, {self.subject} (context: {self.condition})"
        return f"Pairs, {self.subject}"

    @property
    def caption(self) -> str:
        return "" if self.task == "language_model" else self.condition

    def measures(self) -> list[Measure]:
        """The columns of which any row has a figure."""
        return [measure for measure in MEASURES if any(row.figures(measure.key) for row in self.rows)]

    def ranking(self) -> Measure | None:
        """The figure that ranks the rows."""
        return next((measure for measure in self.measures() if measure.better), None)

    def ranked(self) -> list[Row]:
        """Best first; rows without the ranking figure last, by name."""
        by = self.ranking()

        def rank(row: Row) -> tuple[bool, float, str]:
            figure = row.mean(by.key) if by else None
            if by is None or figure is None:
                return True, 0.0, row.name
            return False, -figure if by.better == "higher" else figure, row.name

        return sorted(self.rows, key=rank)

    def best(self, measure: Measure) -> float | None:
        """The best figure among several rows of runs, None where nothing competes."""
        figures = [row.mean(measure.key) for row in self.rows if not row.baseline]
        known = [figure for figure in figures if figure is not None]
        if measure.better is None or len(known) < 2:
            return None
        return max(known) if measure.better == "higher" else min(known)

    def columns(self, wide: bool) -> list[Column]:
        """Those of the figures; where they may be wide, also details and the interval behind the figure that ranks."""
        columns = []
        for measure in self.measures():
            if wide or not measure.detail:
                columns.append(Column(measure))
            if wide and self._has_interval(measure):
                columns.append(Column(measure, interval=True))
        return columns

    def cell(self, row: Row, column: Column) -> Cell:
        """What stands in a row below a column."""
        measure = column.measure
        if column.interval:
            ends = row.intervals.get(measure.key, ())
            return Cell("–".join(map(measure.show, ends)) or NOTHING, ends[0] if ends else None)
        mean, spread = row.mean(measure.key), row.spread(measure.key)
        text = NOTHING if mean is None else measure.show(mean)
        if spread:
            text += f" ± {measure.show(spread)}"
        best = not row.baseline and mean is not None and mean == self.best(measure)
        return Cell(f"{text} {MARK}" if not best and self._may_be_chance(row, measure) else text, mean, best)

    def marks(self) -> bool:
        """Whether any figure may be as good as the best of its column, by chance."""
        return any(self._may_be_chance(row, measure) for row in self.rows for measure in self.measures())

    def _may_be_chance(self, row: Row, measure: Measure) -> bool:
        return row.p.get(measure.key, 0) >= LEVEL

    def _has_interval(self, measure: Measure) -> bool:
        return measure == self.ranking() and any(measure.key in row.intervals for row in self.rows)


@dataclass(frozen=True)
class Comparison:
    """All runs of params.yaml side by side."""

    tables: tuple[Table, ...]
    not_run: tuple[str, ...] = field(default=())
    """Runs without results."""
    runs: Mapping[str, Results] = field(default_factory=dict)
    """What each run and combination in the tables left, by its name."""

    def write(self, folder: Path, gradients: Mapping[str, bytes]) -> None:
        """Write `comparison.json`, `comparison.md` and `figures/` into `folder`.

        `gradients` are PNGs of the gradient by time lag, by the test text as `Table.subject` names it.
        """
        write_json(folder / "comparison.json", self.to_json())
        names = {subject: f"gradient_by_lag_{re.sub(r'[^A-Za-z0-9-]+', '_', subject)}.png" for subject in gradients}
        with whole_folder(folder / "figures") as figures:
            for subject, image in gradients.items():
                (figures / names[subject]).write_bytes(image)
        with whole_file(folder / "comparison.md") as file:
            file.write(self.to_markdown() + _gradient_section(names))

    def to_json(self) -> dict[str, Any]:
        """Subject, then condition, then row, best first, with exact figures.

        Spreads over seeds have the key `..._sd`, 95% intervals `..._interval`, and p-values against the best row of
        the column `..._p`.
        """
        tables: dict[str, Any] = {}
        for table in self.tables:
            tables.setdefault(table.subject, {})[table.condition] = {row.name: _exact(row) for row in table.ranked()}
        return {"tables": tables, "not_run": list(self.not_run)}

    def to_markdown(self) -> str:
        parts = ["# Comparison"]
        for table in self.tables:
            parts += [f"## {_escaped(table.title)}", _markdown_grid(table), _escaped(table.caption)]
        parts = [part for part in parts if part]
        return "\n\n".join([*parts, *self.remarks()]) + "\n"

    def to_terminal(self, wide: bool = True) -> RenderableType:
        """Tables for a rich console; on a narrow one there is no room for intervals and details."""
        grids = [part for table in self.tables for part in (_grid(table, wide), Text(""))]
        return Group(*grids, *(Text(remark, style="dim") for remark in self.remarks()))

    def remarks(self) -> list[str]:
        """What a reader of these tables should know."""
        rows = [row for table in self.tables for row in table.rows]
        baselines = dict.fromkeys(row.name for row in rows if row.baseline)
        said = [
            (UNITS, any(table.task == "language_model" for table in self.tables)),
            (BASELINES + ", ".join(baselines), baselines),
            (SEEDS, any(len(row.runs) > 1 for row in rows)),
            (MARKED, any(table.marks() for table in self.tables)),
            (BOOTSTRAP, any(row.intervals for row in rows)),
            (f"Without results so far: {', '.join(self.not_run)}", self.not_run),
        ]
        return [remark for remark, applies in said if applies]


def _gradient_section(names: Mapping[str, str]) -> str:
    """The figures of gradients by time lag, by their test text; nothing without any."""
    if not names:
        return ""
    images = [f"![Gradient by time lag, {_escaped(subject)}](figures/{name})" for subject, name in names.items()]
    return "\n" + "\n\n".join(["## How far gradients reach", GRADIENTS, *images]) + "\n"


def _exact(row: Row) -> dict[str, Any]:
    exact: dict[str, Any] = {"baseline": True} if row.baseline else {"runs": list(row.runs)}
    exact |= {name: text for name, text in (("cell", row.cell), ("unit", row.unit)) if text}
    for measure in MEASURES:
        for key, figure in ((measure.key, row.mean(measure.key)), (f"{measure.key}_sd", row.spread(measure.key))):
            if figure is not None:
                exact[key] = figure
        if measure.key in row.intervals:
            exact[f"{measure.key}_interval"] = list(row.intervals[measure.key])
        if measure.key in row.p:
            exact[f"{measure.key}_p"] = row.p[measure.key]
    return exact


def labels(table: Table) -> list[tuple[str, Callable[[Row], str]]]:
    """The columns in front of the figures."""
    front: list[tuple[str, Callable[[Row], str]]] = [("run", lambda row: row.name)]
    if any(len(row.runs) > 1 for row in table.rows):
        front.append(("seeds", lambda row: "" if row.baseline else str(len(row.runs))))
    return [*front, ("cell", lambda row: row.cell), ("unit", lambda row: row.unit)]


def _markdown_grid(table: Table) -> str:
    front, columns = labels(table), table.columns(wide=True)
    headings = [*(heading for heading, _ in front), *(column.label for column in columns)]
    lines = [headings, ["---"] * len(front) + ["---:"] * len(columns)]
    for row in table.ranked():
        texts = [_escaped(label(row)) for _, label in front]
        texts[0] = f"*{texts[0]}*" if row.baseline else texts[0]
        cells = [table.cell(row, column) for column in columns]
        lines.append(texts + [f"**{cell.text}**" if cell.best else cell.text for cell in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _grid(table: Table, wide: bool) -> Grid:
    front, columns = labels(table), table.columns(wide)
    grid = Grid(title=Text(table.title, style="bold"), caption=Text(table.caption), box=SIMPLE_HEAD, padding=0)
    grid.title_justify, grid.caption_justify, grid.show_edge = "left", "left", False
    for heading, _ in front:
        grid.add_column(heading, no_wrap=heading == "run", vertical="bottom")
    for column in columns:
        grid.add_column(column.heading, justify="right", overflow="fold", vertical="bottom")
    for row in table.ranked():
        style = "italic" if row.baseline else ""
        texts = ["\n".join(row.runs), *(label(row) for _, label in front[1:])]
        found = [table.cell(row, column) for column in columns]
        cells = [Text(cell.text, style="bold green" if cell.best else "") for cell in found]
        grid.add_row(*(Text(text, style=style) for text in texts), *cells)
    return grid


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
