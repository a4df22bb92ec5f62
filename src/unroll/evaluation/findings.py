"""What evaluation finds, whatever the kind of model, and how its tables become text."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Findings:
    """All that evaluation found, before anything is written."""

    metrics: dict[str, Any]
    page: str
    predictions: dict[str, str]
    """Text of each file by name."""
    figures: dict[str, bytes]
    """Bytes of each file by name: PNG, HTML, and numbers as CSV."""
    unit: str
    """Of what the model predicts."""


def as_lines(texts: Iterable[str]) -> str:
    """A line each."""
    return "".join(f"{text}\n" for text in texts)


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV with a head."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return file.getvalue()
