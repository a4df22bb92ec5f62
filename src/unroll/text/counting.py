"""How often each of many tokens, or characters, occurs."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unroll.text.vocabulary import CODE_POINTS

RECENT = 1_000_000  # distinct tokens in a dictionary, some 150 bytes each; packed they take a fifth of that
KEPT_STRETCHES = 500_000  # distinct ones
ROWS = 65_536  # of a table, made into Python objects at once

_SCHEMA = pa.schema([("token", pa.large_string()), ("count", pa.int64())])


class TokenCounts:
    """Counts of tokens, which may be more than fit into memory as a dictionary."""

    def __init__(self) -> None:
        self._recent: Counter[str] = Counter()
        self._packed: list[pa.Table] = []  # a token may stand in several

    def add(self, counts: Iterable[tuple[str, int]]) -> None:
        """Count tokens, each as often as is said with it."""
        recent = self._recent
        for token, count in counts:
            recent[token] += count
        if len(recent) > RECENT:
            self._pack()

    def merge(self, other: "TokenCounts") -> None:
        """Count all that `other` has counted."""
        self._packed.append(other._table())
        self._settle()

    def __getstate__(self) -> dict[str, Any]:
        return {"_recent": Counter(), "_packed": [self._table()]}

    def __len__(self) -> int:
        """How many distinct tokens there are."""
        return len(self._table())

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Every token and its count, in no order that means anything."""
        return _pairs(self._table())

    def ranked(self) -> Iterator[tuple[str, int]]:
        """The same, the most frequent first; equal counts in the order of the tokens themselves."""
        table = self._table()
        return _pairs(table.take(pc.sort_indices(table, [("count", "descending"), ("token", "ascending")])))

    def rarest(self, n: int) -> list[str]:
        """The `n` tokens that occur least, among equals by a checksum, in sorted order."""
        table = self._table()
        if n >= len(table):
            return sorted(token for token, _ in _pairs(table))
        counts = table["count"].to_numpy()
        most = np.partition(counts, n - 1)[n - 1]
        found = [token for token, _ in _pairs(table.filter(pa.array(counts < most)))]
        equal = [token for token, _ in _pairs(table.filter(pa.array(counts == most)))]
        sums = np.fromiter((crc32(token.encode()) for token in equal), np.int64, len(equal))
        near = np.flatnonzero(sums <= np.partition(sums, n - len(found) - 1)[n - len(found) - 1])
        least = sorted((sums[place], equal[place]) for place in near)[: n - len(found)]
        return sorted([*found, *(token for _, token in least)])

    def _pack(self) -> None:
        columns = [list(self._recent.keys()), list(self._recent.values())]
        self._packed.append(pa.table(columns, schema=_SCHEMA))
        self._recent.clear()
        self._settle()

    def _settle(self) -> None:
        # Merged when what is new is as much as what is old: each token is merged a few times, however many there are.
        while len(self._packed) > 1 and len(self._packed[-1]) >= len(self._packed[-2]) // 2:
            self._packed[-2:] = [_merged(self._packed[-2:])]

    def _table(self) -> pa.Table:
        """All counts, each token once."""
        if self._recent or not self._packed:
            self._pack()
        if len(self._packed) > 1:
            self._packed = [_merged(self._packed)]
        return self._packed[0]


class SplitCounts:
    """Counts of the tokens of stretches of text; each distinct stretch is split but once, or a few times."""

    def __init__(self, split: Callable[[str], Iterable[str]]) -> None:
        self._split = split
        self._stretches: Counter[str] = Counter()
        self._tokens = TokenCounts()

    def add(self, counts: Iterable[tuple[str, int]]) -> None:
        """Count stretches, each as often as is said with it."""
        for stretch, count in counts:
            self._stretches[stretch] += count
        if len(self._stretches) > KEPT_STRETCHES:
            self._split_all()

    @property
    def tokens(self) -> TokenCounts:
        """The tokens of all stretches so far."""
        self._split_all()
        return self._tokens

    def _split_all(self) -> None:
        split = self._split
        self._tokens.add((token, count) for stretch, count in self._stretches.items() for token in split(stretch))
        self._stretches.clear()


def _merged(tables: Sequence[pa.Table]) -> pa.Table:
    """One table with each token once."""
    table = pa.concat_tables(tables).combine_chunks()
    coded = table["token"].chunk(0).dictionary_encode()
    # Sums of whole numbers are exact in double precision up to 2^53.
    counts = np.bincount(coded.indices, weights=table["count"], minlength=len(coded.dictionary)).astype(np.int64)
    return pa.table([coded.dictionary, counts], schema=_SCHEMA)


def _pairs(table: pa.Table) -> Iterator[tuple[str, int]]:
    for batch in table.to_batches(ROWS):
        tokens, counts = batch.columns
        yield from zip(tokens.to_numpy(zero_copy_only=False).tolist(), counts.to_pylist(), strict=True)


class CharacterCounts:
    """Counts of characters."""

    def __init__(self) -> None:
        self._counts = np.zeros(CODE_POINTS, dtype=np.int64)

    def add(self, texts: list[str]) -> list[str]:
        """Count all characters of `texts`, which are given back."""
        codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        found = np.bincount(codes)
        self._counts[: len(found)] += found
        return texts

    def merge(self, other: "CharacterCounts") -> None:
        """Count all that `other` has counted."""
        self._counts += other._counts

    def __getstate__(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        codes = np.flatnonzero(self._counts)
        return codes, self._counts[codes]

    def __setstate__(self, state: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
        self.__init__()  # type: ignore[misc]
        codes, counts = state
        self._counts[codes] = counts

    def __getitem__(self, character: str) -> int:
        return int(self._counts[ord(character)])

    def at_least(self, least: int) -> dict[str, int]:
        """The characters that occur so often, and how often."""
        return {chr(code): int(self._counts[code]) for code in np.flatnonzero(self._counts >= max(least, 1))}
