"""Carving validation and test rows out of rows that come without splits."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from unroll.settings import Seed, Settings, rule
from unroll.text.corpus import SPLITS, Row, draw

Fraction = Annotated[float, Field(gt=0, lt=1)]
Read = Callable[[], Iterator[tuple[str, ...]]]


class SplitSettings(Settings):
    """Which parts of the rows become validation and test; the others train."""

    valid: Fraction | None = None
    """Part of the characters (by order or character) or of the rows (by hash)."""
    test: Fraction | Literal["valid"] | None = None
    """The same; `valid`: the validation part once more, for data sets whose published figures are on it."""
    by: Literal["order", "character", "hash"] = "order"
    """order: test is the end, and valid what lies before it, in whole rows. character: the same to the character; a
    row that a cut falls into is parted, and its first piece gets an end of its own. hash: drawn row by row, equal rows
    together."""
    seed: Seed = 1
    """Of the draw by hash."""

    @rule
    def _repeats_what_is_there(self) -> Iterator[str]:
        if self.test == "valid" and self.valid is None:
            yield "`test: valid` repeats the part `valid`, and there is none"

    @rule
    def _leaves_something(self) -> Iterator[str]:
        if sum(self.parts) >= 1:
            yield "valid and test together must be less than 1"

    def against(self, columns: Sequence[str]) -> Iterator[str]:
        """What keeps rows of these columns from being split so."""
        if self.by == "character" and len(columns) > 1:
            yield "split.by: character cuts inside of texts; pairs can be split by order or by hash"

    @property
    def parts(self) -> tuple[float, float]:
        """The parts of valid and test that are cut off."""
        return self.valid or 0.0, 0.0 if self.test in (None, "valid") else float(self.test)


def carve(read: Read, settings: SplitSettings) -> Iterator[Row]:
    """The rows that `read` gives, each with its split; unless by hash they are read twice.

    A text counts one character more than it has: its end.
    """
    ways = {"hash": _by_hash, "order": _by_order, "character": _by_character}
    for split, texts in ways[settings.by](read, settings):
        yield split, texts
        if split == "valid" and settings.test == "valid":
            yield "test", texts


def _by_hash(read: Read, settings: SplitSettings) -> Iterator[Row]:
    valid, test = settings.parts
    for texts in read():
        place = draw(settings.seed, *texts)
        yield "test" if place < test else "valid" if place < test + valid else "train", texts


def _by_order(read: Read, settings: SplitSettings) -> Iterator[Row]:
    valid, test = settings.parts
    total = sum(_characters(texts) for texts in read())
    before = 0
    for texts in read():
        left = total - before
        yield "test" if left <= test * total else "valid" if left <= (test + valid) * total else "train", texts
        before += _characters(texts)


def _by_character(read: Read, settings: SplitSettings) -> Iterator[Row]:
    # As decimals, as they are written: 1 - 0.05 - 0.05 in floating point is less than 0.9.
    valid, test = (Decimal(str(part)) for part in settings.parts)
    total = sum(_characters(texts) for texts in read())
    ends = dict(zip(SPLITS, (int(total * (1 - valid - test)), int(total * (1 - test)), total), strict=True))
    before = 0
    for texts in read():
        at = 0
        for split, end in ends.items():
            reach = end - before  # more than the text has, where its end belongs to `split` too
            if reach > at:
                yield split, (texts[0][at:reach],)
                at = reach
            if reach > len(texts[0]):
                break
        before += _characters(texts)


def _characters(texts: tuple[str, ...]) -> int:
    return sum(map(len, texts)) + len(texts)
