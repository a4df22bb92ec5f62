"""The page: what stands on it, and its HTML."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from unroll.evaluation.comparison import Entry
from unroll.evaluation.report.curves import Curves, choices, curves_of
from unroll.evaluation.report.differences import differences
from unroll.evaluation.report.images import Image, as_uri, images
from unroll.evaluation.report.side_by_side import AnsweredRows, Prompted, answered_rows, prompted
from unroll.evaluation.tables import GRADIENTS, Column, Comparison, Row, Table, labels
from unroll.files import whole_file

HERE = Path(__file__).parent
TEMPLATE, STYLE, SCRIPT = "page.html.jinja", "page.css", "page.js"


@dataclass(frozen=True)
class Section:
    """All about the runs of one table."""

    table: Table
    front: list[tuple[str, Any]]
    """The columns in front of the figures: their headings, and what a row has there."""
    measured: list[Column]
    costs: list[Column]
    curves: list[Curves]
    without_curves: list[str]
    prompts: list[Prompted]
    decoding: dict[str, str]
    """How the texts of a run were drawn, by its name."""
    answers: list[AnsweredRows]
    images: dict[str, list[Image]]
    gradients: str | None
    """The figure of gradients by time lag."""
    differences: dict[str, list[str]]

    @property
    def trained(self) -> list[Row]:
        """The rows of runs, as they rank."""
        return [row for row in self.table.ranked() if not row.baseline]

    @property
    def choices(self) -> dict[str, str]:
        return choices(self.curves)

    @property
    def units(self) -> list[str]:
        """Of the runs with curves."""
        return list(dict.fromkeys(one.unit for one in self.curves))

    @property
    def drawn(self) -> dict[str, Any]:
        """What the script draws."""
        return {"curves": [one.to_json() for one in self.curves], "labels": self.choices}

    @property
    def timed(self) -> bool:
        return any(minutes is not None for one in self.curves for some in one.points.values() for _, minutes, _ in some)

    def first_order(self, column: Column) -> str:
        """The order in which the best comes first."""
        return "descending" if column.measure.better == "higher" else "ascending"

    def order(self, column: Column) -> str | None:
        """That of the column by which rows rank."""
        ranks = column.measure == self.table.ranking() and not column.interval
        return self.first_order(column) if ranks else None


def write_page(
    path: Path,
    comparison: Comparison,
    entries: Mapping[str, Entry],
    gradients: Mapping[str, bytes],
    results: Path,
    predictions: Path,
) -> None:
    """Write one file that needs no other, from a comparison and what its runs left below `results` and `predictions`.

    `entries` are the runs and combinations of params.yaml, `gradients` PNGs by `Table.subject`.
    """
    left = dict(gradients)  # of several tables of one subject the first has it
    sections = [
        _section(table, comparison, entries, left.pop(table.subject, None), results, predictions)
        for table in comparison.tables
    ]
    with whole_file(path) as file:
        file.write(_html(comparison, sections))


def _section(
    table: Table,
    comparison: Comparison,
    entries: Mapping[str, Entry],
    gradients: bytes | None,
    results: Path,
    predictions: Path,
) -> Section:
    rows = [row for row in table.ranked() if not row.baseline]
    one_each = [row.runs[0] for row in rows]  # other seeds write alike
    found = {
        run: curves_of(run, row.unit, place, comparison.runs[run]) for place, row in enumerate(rows) for run in row.runs
    }
    stated = {run: json.loads(entries[run].model_dump_json(exclude=set())) for run in found}
    columns = table.columns(wide=True)
    return Section(
        table=table,
        front=labels(table),
        measured=[column for column in columns if not column.measure.cost],
        costs=[column for column in columns if column.measure.cost],
        curves=[curves for curves in found.values() if curves is not None],
        without_curves=[run for run, curves in found.items() if curves is None],
        prompts=prompted(one_each, predictions) if table.task == "language_model" else [],
        decoding={run: _decoding(stated[run]["evaluate"]) for run in one_each},
        answers=[] if table.task == "language_model" else answered_rows(one_each, predictions),
        images=images(one_each, results),
        gradients=None if gradients is None else as_uri(gradients),
        differences=differences([[stated[run] for run in row.runs] for row in rows]),
    )


def _decoding(evaluate: Mapping[str, Any]) -> str:
    return f"temperature {evaluate['temperature']:g}" if "temperature" in evaluate else ""


def _html(comparison: Comparison, sections: Sequence[Section]) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["with_code"] = _with_code
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    style, script = (HERE.joinpath(name).read_text(encoding="utf-8") for name in (STYLE, SCRIPT))
    return environment.get_template(TEMPLATE).render(
        comparison=comparison,
        sections=sections,
        style=Markup(style),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
        gradients_text=GRADIENTS,
    )


def _with_code(text: str) -> Markup:
    """`text` as HTML, with what stands in back-ticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped


def _hash(text: str) -> str:
    """What the page's policy knows its own script and style by: nothing else runs, whatever the texts of runs hold."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
