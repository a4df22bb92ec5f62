"""What a run left in its folder of results, read back."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from unroll.files import damaged, read_json

Row = dict[str, float]


@dataclass(frozen=True)
class Results:
    """The measures of one run and the course of its training."""

    metrics: dict[str, Any]
    """`metrics.json`: `test`, `cost`, and of pairs `baseline` and `signature`."""
    history: list[Row]
    """Rows of `history.csv`, each with the cells that hold a number."""
    timing: list[Row]
    """Rows of `timing.csv`, one a row of `history`."""

    def costs(self) -> Row:
        """What the model and its training took; timings as far as they were recorded.

        `seconds` and `peak_ram_bytes` are of the whole training, `tokens_per_second` of a typical stretch (the median).
        """
        costs = dict(self.metrics["cost"])
        speeds = [row["tokens_per_second"] for row in self.timing if "tokens_per_second" in row]
        if speeds:
            costs["tokens_per_second"] = median(speeds)
        if self.timing:
            costs["seconds"] = self.timing[-1]["seconds"]
            costs["peak_ram_bytes"] = max(row["peak_ram_bytes"] for row in self.timing)
        return costs


def read_results(folder: Path) -> Results | None:
    """The results in `folder`, or None if the run has not been evaluated there."""
    metrics = folder / "metrics.json"
    if not metrics.exists():
        return None
    return Results(read_json(metrics), _rows(folder / "history.csv"), _rows(folder / "timing.csv"))


def _rows(path: Path) -> list[Row]:
    return parse_rows(path.read_text(encoding="utf-8", errors="replace"), path) if path.exists() else []


def parse_rows(text: str, path: Path) -> list[Row]:
    """The rows of a table of numbers, each with the cells that hold one; `UserError` naming `path` if it is none."""
    try:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(io.StringIO(text))]
    except (ValueError, TypeError, csv.Error) as error:
        raise damaged(path, f"no table of numbers: {error}") from None


def leaves(tree: Mapping[str, Any], separator: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, each with the keys on the way to it."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, separator, f"{prefix}{key}{separator}")
        else:
            yield f"{prefix}{key}", value
