"""Carving validation and test rows out of rows that come without splits."""

from collections.abc import Callable, Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unroll.settings import Settings
from unroll.text.corpus import Row, draw

Fraction = Annotated[float, Field(gt=0, lt=1)]


class SplitSettings(Settings):
    """Which parts of the rows become validation and test; the others train."""

    valid: Fraction | None = None
    """Part of the characters (by order) or of the rows (by hash)."""
    test: Fraction | None = None
    by: Literal["order", "hash"] = "order"
    """order: test is the end, and valid what lies before it. hash: drawn row by row, equal rows together."""
    seed: int = 1
    """Of the draw by hash."""

    @model_validator(mode="after")
    def _leaves_something(self) -> "SplitSettings":
        if (self.valid or 0) + (self.test or 0) >= 1:
            raise ValueError("valid and test together must be less than 1")
        return self


def carve(read: Callable[[], Iterator[tuple[str, ...]]], settings: SplitSettings) -> Iterator[Row]:
    """The rows that `read` gives, each with its split; by order they are read twice."""
    valid, test = settings.valid or 0, settings.test or 0
    if settings.by == "hash":
        for texts in read():
            place = draw(settings.seed, *texts)
            yield "test" if place < test else "valid" if place < test + valid else "train", texts
        return
    total = sum(_characters(texts) for texts in read())
    before = 0
    for texts in read():
        left = total - before
        yield "test" if left <= test * total else "valid" if left <= (test + valid) * total else "train", texts
        before += _characters(texts)


def _characters(texts: tuple[str, ...]) -> int:
    return sum(map(len, texts)) + len(texts)
