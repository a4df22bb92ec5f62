"""How often each of many tokens, or characters, occurs."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unroll.text.tallies import SpilledTallies, merged, most_frequent, pairs, rarest, tally
from unroll.text.vocabulary import CODE_POINTS

WAITING = 1_000_000  # rows of tallies that are merged at once, or more
KEPT_TOKENS = 2_000_000  # distinct ones in memory, some 30 bytes each, and several times that while they are merged
KEPT_STRETCHES = 500_000  # distinct ones


class TokenCounts:
    """Counts of tokens, which may be more than fit into memory."""

    def __init__(self) -> None:
        self._kept = tally([], [])
        self._waiting: list[pa.Table] = []
        self._spilled: SpilledTallies | None = None

    def add(self, counts: pa.Table) -> None:
        """Count the tokens of a tally."""
        if not len(counts):
            return
        self._waiting.append(counts)
        # Merged when what is new is as much as what is old: each row is merged a few times, however many there are.
        if sum(map(len, self._waiting)) >= max(WAITING, len(self._kept)):
            self._merge_waiting()

    def merge(self, other: "TokenCounts") -> None:
        """Count all that `other` has counted."""
        for part in other.parts():
            self.add(part)

    def parts(self) -> Iterator[pa.Table]:
        """All counts, in tallies of which no two have a token in common."""
        if self._waiting:
            self._merge_waiting()
        if self._spilled is None:
            yield self._kept
            return
        if len(self._kept):
            self._spill()
        yield from self._spilled.parts()

    def __getstate__(self) -> dict[str, Any]:
        return {"_kept": pa.concat_tables(self.parts()), "_waiting": [], "_spilled": None}

    def __len__(self) -> int:
        """How many distinct tokens there are."""
        return sum(map(len, self.parts()))

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Every token and its count, in no order that means anything."""
        for part in self.parts():
            yield from pairs(part)

    def ranked(self, most: int | None = None, least: int = 1) -> Iterator[tuple[str, int]]:
        """The same, the most frequent first; equal counts in the order of the tokens themselves.

        `most` tokens at most, and none that occurs less than `least` times.
        """
        found = [most_frequent(part.filter(pc.field("count") >= least), most) for part in self.parts()]
        return pairs(most_frequent(pa.concat_tables(found), most))

    def rarest(self, n: int) -> list[str]:
        """The `n` tokens that occur least, among equals by a checksum, in sorted order."""
        found = rarest(pa.concat_tables([rarest(part, n) for part in self.parts()]), n)
        return sorted(found["text"].to_pylist())

    def _merge_waiting(self) -> None:
        self._kept = merged([self._kept, *self._waiting])
        self._waiting.clear()
        if len(self._kept) > KEPT_TOKENS:
            self._spilled = self._spilled or SpilledTallies()
            self._spill()

    def _spill(self) -> None:
        assert self._spilled is not None
        self._spilled.add(self._kept)
        self._kept = tally([], [])


class SplitCounts:
    """Counts of the tokens of stretches of text; each distinct stretch is split but once, or a few times."""

    def __init__(
        self, split: Callable[[str], Iterable[str]], are_tokens: Callable[[pa.Array], NDArray[np.bool_]] | None = None
    ) -> None:
        """`are_tokens`: of which stretches `split` is known to give themselves back."""
        self._split, self._are_tokens = split, are_tokens
        self._stretches: Counter[str] = Counter()
        self._tokens = TokenCounts()

    def add(self, counts: pa.Table) -> None:
        """Count the stretches of a tally."""
        if self._are_tokens is not None and len(counts):
            whole = self._are_tokens(counts["text"].combine_chunks())
            self._tokens.add(counts.filter(pa.array(whole)))
            counts = counts.filter(pa.array(~whole))
        for stretch, count in pairs(counts):
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
        tokens: Counter[str] = Counter()
        for stretch, count in self._stretches.items():
            for token in split(stretch):
                tokens[token] += count
        self._tokens.add(tally(list(tokens), list(tokens.values())))
        self._stretches.clear()


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
