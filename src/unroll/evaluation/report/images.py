"""Figures of runs, in the page itself."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MOST = 2  # figures of one sort of each run
TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
TITLES = {
    "attention_row": "Where models looked, by row of the test split",
    "contact_sheet": "Captions beside their images",
    "gates": "Gates",
    "gradients": "How far gradients reach, run by run",
    "scores_by_length": "Scores by the length of the source",
}
DRAWN = ("learning_curve", "lengths")
"""Not shown: the page draws the curve itself, and how long texts are is a matter of the data."""


@dataclass(frozen=True)
class Image:
    """A figure of a run."""

    run: str
    caption: str
    uri: str


def as_uri(image: bytes, suffix: str = ".png") -> str:
    """The bytes of an image as an address that holds them."""
    return f"data:{TYPES[suffix]};base64,{base64.b64encode(image).decode('ascii')}"


def images(runs: Iterable[str], results: Path) -> dict[str, list[Image]]:
    """The images among the figures of `runs`, by their sort as `TITLES` name it; of each run `MOST` of a sort."""
    found: dict[str, list[Image]] = {}
    for run in runs:
        counts: dict[str, int] = {}
        for path in sorted((results / run / "figures").glob("*"), key=_in_order):
            sort = re.sub(r"_\d+$", "", path.stem)
            if path.suffix not in TYPES or sort in DRAWN or counts.get(sort, 0) == MOST:
                continue
            counts[sort] = counts.get(sort, 0) + 1
            caption = run + path.stem.removeprefix(sort).replace("_", ", ")
            image = Image(run, caption, as_uri(path.read_bytes(), path.suffix))
            found.setdefault(TITLES.get(sort, sort.replace("_", " ")), []).append(image)
    return dict(sorted(found.items()))


def _in_order(path: Path) -> tuple[str, int]:
    """Row 9 before row 10."""
    number = re.search(r"_(\d+)$", path.stem)
    return re.sub(r"_\d+$", "", path.stem), int(number[1]) if number else 0
