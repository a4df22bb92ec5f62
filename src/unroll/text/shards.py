"""Texts in shards, each read by whoever works on it: this process, or a node that sees the project's folder."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from unroll.engine import LOCAL, Engine
from unroll.errors import UserError
from unroll.progress import followed
from unroll.text.corpus import read_texts, row_groups

R = TypeVar("R")

EACH = 4  # shards for each that can be worked on at once, so that all end together
MOST_GROUPS, MOST_BYTES = 8, 16_000_000  # of a shard, if it is more than one row group


@dataclass(frozen=True)
class CorpusShard:
    """The texts of some row groups of one column of a corpus."""

    folder: Path
    split: str
    column: str
    groups: range
    stamp: tuple[int, int]
    """Size and time of the file, which tell a node whether it reads the same."""

    def __iter__(self) -> Iterator[str]:
        if _stamp(self.folder, self.split) != self.stamp:
            raise UserError(f"{self.folder / self.split}.parquet: another file on another node, or it has just changed")
        return read_texts(self.folder, self.split, self.column, self.groups)


def shard_size(engine: Engine, sizes: Sequence[int]) -> int:
    """Of how many row groups, of so many bytes each, a shard is made: what they have in common is looked at once."""
    most = max(1, min(MOST_GROUPS, MOST_BYTES // max([*sizes, 1])))
    return most if engine.at_once == 1 else max(1, min(len(sizes) // (EACH * engine.at_once), most))


def corpus_shards(folder: Path, split: str, column: str, groups: int) -> Iterator[CorpusShard]:
    """The texts of a column, in order, by so many row groups; `UserError` as of `read_texts`."""
    there = len(row_groups(folder, split, column))
    for first in range(0, there, groups):
        taken = range(first, min(first + groups, there))
        yield CorpusShard(folder.resolve(), split, column, taken, _stamp(folder, split))


def _stamp(folder: Path, split: str) -> tuple[int, int]:
    found = (folder / f"{split}.parquet").stat()
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class Texts:
    """All texts that a vocabulary is learned from, in order; who learns reads them as often as needed."""

    shards: Sequence[Iterable[str]]
    engine: Engine = LOCAL
    name: str = ""
    """What a bar calls them; none without."""

    @classmethod
    def of_corpus(cls, folder: Path, split: str, columns: Sequence[str], engine: Engine = LOCAL) -> Self:
        """Columns one after the other; without others a shard is a whole column."""
        sizes = row_groups(folder, split, columns[0])
        size = max(1, len(sizes)) if engine.at_once == 1 else shard_size(engine, sizes)
        shards = [shard for column in columns for shard in corpus_shards(folder, split, column, size)]
        return cls(shards, engine, f"{folder.name}.{'+'.join(columns)}")

    def map(self, function: Callable[..., R], *each: Iterable[Any]) -> Iterator[R]:
        """`function` of the texts of each shard, and of one item of each of `each`; in order."""
        alone = self.engine.at_once == 1
        work = partial(_apply, function, f"{self.name}: texts counted" if alone and self.name else "")
        found = self.engine.map_shards(work, zip(self.shards, *each, strict=True))
        return found if alone else followed(found, f"{self.name}: parts counted", len(self.shards))


def _apply(function: Callable[..., R], bar: str, shard: tuple[Any, ...]) -> R:
    texts, *each = shard
    return function(followed(texts, bar) if bar else iter(texts), *each)
