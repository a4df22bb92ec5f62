"""The docstrings of installed packages: technical English, and a summarisation task inside it."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution
from typing import Literal

from pydantic import Field

from unroll.errors import UserError
from unroll.settings import Count, PathName, Seed, rule
from unroll.text.corpus import SPLITS, Corpus, Row, draw
from unroll.text.sources.docstrings.clean import sections, whole_text
from unroll.text.sources.docstrings.collect import docstrings, find_package, licence_of
from unroll.text.sources.docstrings.duplicates import Seen
from unroll.text.sources.docstrings.pairs import summary_pair
from unroll.text.sources.settings import SourceSettings

TEST, VALID = 0.03, 0.03  # of the modules
MIN_CHARACTERS, MIN_WORDS = 40, 7
MIN_ASCII, MIN_LETTERS = 0.99, 0.75  # of the characters; spaces count as letters
LETTERS, ASCII = re.compile(r"[A-Za-z\s]"), re.compile(r"[\n -~]")

Columns = tuple[str, ...]


class CorpusSettings(SourceSettings):
    """Docstrings of packages, read from their files: the packages are not imported."""

    source: Literal["docstrings"]
    path: PathName
    """What DVC watches: the lock file that pins the packages."""
    packages: list[str] = Field(min_length=1)
    """Names as `pip install` knows them."""
    fields: list[str] | None = None
    """[body, summary] for pairs; left out for whole texts in the one column `text`."""
    max_size: Count | None = None
    """Characters kept over all splits, drawn from all packages in proportion; all of them when left out."""
    seed: Seed = 1
    """Of the split into train, valid and test, and of what is kept."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(self.fields or ["text"])

    @rule
    def _fields_are_pairs(self) -> Iterator[str]:
        if self.fields not in (None, ["body", "summary"]):
            yield f"`fields` should be [body, summary], or left out for whole texts; found [{', '.join(self.fields)}]"


@dataclass(frozen=True)
class _Text:
    """One row before the corpus is cut to its size."""

    split: str
    package: str
    module: str
    line: int
    columns: Columns

    @property
    def characters(self) -> int:
        return sum(len(text) + 1 for text in self.columns)


def read(settings: CorpusSettings) -> Corpus:
    """The docstrings as texts, or as pairs of body and summary; `UserError` for packages that are not there.

    A module lies in one split as a whole, decided by a hash of its path. What resembles an earlier text of its own
    split, or any of train (or valid, for test), is left out.
    """
    packages: dict[str, Distribution] = {}
    problems: list[str] = []
    for name in sorted(set(settings.packages)):
        try:
            packages[name] = find_package(name)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    licences = [f"{name}: {licence_of(package)}" for name, package in packages.items()]
    # Builds of one version ("+cpu", "+cu130") hold the same docstrings.
    versions = [f"{name} {package.version.partition('+')[0]}" for name, package in packages.items()]
    return Corpus(
        columns=settings.column_names,
        licence="; ".join(licences),
        origin=f"docstrings of {', '.join(versions)}",
        rows=_rows(settings, packages),
    )


def _rows(settings: CorpusSettings, packages: Mapping[str, Distribution]) -> Iterator[Row]:
    wanted = _pair if settings.fields else _text
    texts = [
        _Text(_split(settings.seed, found.module), found.package, found.module, found.line, columns)
        for found in docstrings(packages)
        if (columns := wanted(found.text))
    ]
    texts.sort(key=lambda text: (SPLITS.index(text.split), text.package, text.module, text.line))
    seen = Seen()
    texts = [text for text in texts if seen.add_new(" ".join(text.columns))]
    if settings.max_size is not None:
        texts = _sample(texts, settings.max_size, settings.seed)
    yield from ((text.split, text.columns) for text in texts)


def _split(seed: int, module: str) -> str:
    place = draw(seed, module)
    return "test" if place < TEST else "valid" if place < TEST + VALID else "train"


def _text(docstring: str) -> Columns | None:
    text = whole_text(sections(docstring))
    return (text,) if _is_prose(text) else None


def _pair(docstring: str) -> Columns | None:
    pair = summary_pair(sections(docstring))
    return pair if pair and all(_is_prose(text, least=0) for text in pair) else None


def _is_prose(text: str, least: int = MIN_CHARACTERS) -> bool:
    return (
        len(text) >= max(1, least)
        and (not least or len(text.split()) >= MIN_WORDS)
        and len(ASCII.findall(text)) >= MIN_ASCII * len(text)
        and len(LETTERS.findall(text)) >= MIN_LETTERS * len(text)
    )


def _sample(texts: list[_Text], size: int, seed: int) -> list[_Text]:
    """At most `size` characters, of each package and split in proportion, in the order of `texts`."""
    total = sum(text.characters for text in texts)
    groups: dict[tuple[str, str], list[_Text]] = defaultdict(list)
    for text in texts:
        groups[text.package, text.split].append(text)
    kept: set[int] = set()
    for group in groups.values():
        left = size * sum(text.characters for text in group) / total
        for text in sorted(group, key=lambda text: draw(seed, text.package, text.module, str(text.line))):
            if text.characters <= left:
                left -= text.characters
                kept.add(id(text))
    return [text for text in texts if id(text) in kept]
