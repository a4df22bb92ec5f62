"""All runs side by side: which of them compare, and how they rank.

Runs compare if they were measured over the same test text in the same way: language models with equal context,
models of pairs with equal signatures of their scores.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from unroll.evaluation.results import Results, read_results
from unroll.evaluation.significance import with_significance
from unroll.evaluation.tables import Comparison, Row, Table
from unroll.text.settings import DatasetSettings


class Entry(Protocol):
    """An entry of `runs`, of any kind, or of `combinations`."""

    @property
    def dataset(self) -> str: ...
    def model_dump_json(self, *, exclude: set[str]) -> str: ...


@dataclass
class _Draft:
    """A row as its runs come in."""

    cell: str
    unit: str
    runs: list[str] = field(default_factory=list)
    values: list[Mapping[str, float]] = field(default_factory=list)


@dataclass
class _DraftTable:
    """A table as its rows come in: those of runs by what their runs have in common, baselines by name and figures."""

    rows: dict[tuple[str, int], _Draft] = field(default_factory=dict)
    baselines: dict[tuple[str, str], Row] = field(default_factory=dict)


def compare(
    entries: Mapping[str, Entry], datasets: Mapping[str, DatasetSettings], results: Path, predictions: Path
) -> Comparison:
    """Put the runs and combinations that have results below the folder `results` into tables.

    Runs that differ in nothing but `seed` share a row. A baseline that several runs report stands once in a table.
    Differences are tested with what lies below `predictions`.
    """
    tables: dict[tuple[str, str, str], _DraftTable] = {}
    not_run, runs = [], {}
    alike: Counter[tuple[str, int]] = Counter()
    for name, run in entries.items():
        found = read_results(results / name)
        if found is None:
            not_run.append(name)
            continue
        runs[name] = found
        dataset = datasets[run.dataset]
        table = tables.setdefault(_place(run, dataset, found.metrics), _DraftTable())
        stated, seed = run.model_dump_json(exclude={"seed"}), getattr(run, "seed", 0)
        # A second run with the same seed is no second sample: it starts a row of its own.
        row = table.rows.setdefault((stated, alike[stated, seed]), _Draft(_cell(run), _units(dataset)))
        alike[stated, seed] += 1
        row.runs.append(name)
        row.values.append(_figures(found))
        for baseline, figures in found.metrics.get("baseline", {}).items():
            table.baselines[baseline, repr(figures)] = Row((baseline,), (figures,), baseline=True)
    return Comparison(
        tuple(
            Table(*place, rows=with_significance(_rows(table), predictions))
            for place, table in sorted(tables.items(), key=lambda item: item[0])
        ),
        tuple(not_run),
        runs,
    )


def _place(run: Entry, dataset: DatasetSettings, metrics: Mapping[str, Any]) -> tuple[str, str, str]:
    """The table that a run belongs to: task, test text, and how it was measured."""
    if "text" in dataset.fields:
        return "language_model", subject_of(dataset), str(metrics["test"]["context"])
    signatures = metrics["signature"]
    return "pairs", subject_of(dataset), "; ".join(f"{name}: {signatures[name]}" for name in sorted(signatures))


def subject_of(dataset: DatasetSettings) -> str:
    """The name of a test text: its corpus and columns."""
    if "text" in dataset.fields:
        column = dataset.column("text")
        return dataset.corpus if column == "text" else f"{dataset.corpus}: {column}"
    first = "image" if "image" in dataset.fields else "source"
    return f"{dataset.corpus}: {dataset.column(first)} → {dataset.column('target')}"


def _cell(run: Entry) -> str:
    """The recurrent cell, or the kind of a model that has none; a combination has no model of its own."""
    model = getattr(run, "model", None)
    return "combination" if model is None else str(getattr(model, "cell", model.kind))


def _units(dataset: DatasetSettings) -> str:
    """The unit of the text, or the units of source and target where they differ."""
    owners = (dataset.owners[name] for name in sorted(dataset.owners))
    return " → ".join(dict.fromkeys(dataset.unit(owner).unit for owner in owners))


def _figures(results: Results) -> dict[str, float]:
    """All figures of a run that are numbers."""
    figures = {**results.metrics["test"], **results.costs()}
    return {key: value for key, value in figures.items() if isinstance(value, int | float)}


def _rows(table: _DraftTable) -> tuple[Row, ...]:
    runs = (Row(tuple(row.runs), tuple(row.values), row.cell, row.unit) for row in table.rows.values())
    return (*runs, *table.baselines.values())
