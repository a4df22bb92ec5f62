"""Tables of how often each of many texts occurs: a fifth of a dictionary's size, and on disk if they are too many."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

ROWS = 65_536  # of a table, made into Python objects at once
PARTS = 64  # of what is on disk; each is brought into memory whole
MOST_FILES = 32

_SCHEMA = pa.schema([("text", pa.large_string()), ("count", pa.int64())])


def tally(texts: pa.Array | Sequence[str], counts: NDArray[np.int64] | Sequence[int]) -> pa.Table:
    """Each of `texts` with how often it occurs; a text may stand there several times."""
    return pa.table([texts, counts], schema=_SCHEMA)


def merged(tallies: Iterable[pa.Table]) -> pa.Table:
    """One tally with each text once."""
    table = pa.concat_tables(tallies).combine_chunks()
    if not len(table):
        return table
    coded = table["text"].chunk(0).dictionary_encode()
    # Sums of whole numbers are exact in double precision up to 2^53.
    counts = np.bincount(coded.indices, weights=table["count"], minlength=len(coded.dictionary)).astype(np.int64)
    return tally(coded.dictionary, counts)


def pairs(table: pa.Table) -> Iterator[tuple[str, int]]:
    """The rows of a tally."""
    for batch in table.to_batches(ROWS):
        texts, counts = batch.columns
        yield from zip(strings(texts), counts.to_pylist(), strict=True)


def strings(texts: pa.LargeStringArray) -> list[str]:
    """As `to_pylist`, in half the time."""
    return list(texts.to_numpy(zero_copy_only=False))


def most_frequent(table: pa.Table, most: int | None) -> pa.Table:
    """The `most` rows with the highest counts, or all; equal counts in the order of the texts themselves."""
    order = pc.sort_indices(table, [("count", "descending"), ("text", "ascending")])
    return table.take(order if most is None else order[:most])


def rarest(table: pa.Table, n: int) -> pa.Table:
    """The `n` rows with the lowest counts, among equals by a checksum of the text."""
    if n >= len(table):
        return table
    counts = table["count"].to_numpy()
    most = np.partition(counts, n - 1)[n - 1]
    lower, equal = np.flatnonzero(counts < most), np.flatnonzero(counts == most)
    missing = n - len(lower)
    sums = checksums(table.take(equal))
    near = equal[sums <= np.partition(sums, missing - 1)[missing - 1]]
    texts = table.take(near)
    ranked = sorted(zip(checksums(texts).tolist(), texts["text"].to_pylist(), near.tolist(), strict=True))
    return table.take(np.append(lower, [place for _, _, place in ranked[:missing]]).astype(np.int64))


def checksums(table: pa.Table) -> NDArray[np.int64]:
    """One of each text; equal texts have equal ones, in every process."""
    batches = table.select(["text"]).to_batches(ROWS)
    texts = (text for batch in batches for text in batch.column(0).cast(pa.large_binary()).to_pylist())
    return np.fromiter(map(crc32, texts), np.int64, len(table))


class SpilledTallies:
    """Tallies in files without a name, which are gone when this object is; TMPDIR says on which disk."""

    def __init__(self) -> None:
        self._files: list[IO[bytes]] = []

    def add(self, table: pa.Table) -> None:
        """Write a tally."""
        part = checksums(table) % PARTS
        order = part.argsort(kind="stable")
        ends = np.searchsorted(part[order], np.arange(PARTS), side="right").tolist()
        table = table.take(order)
        self._write(table.slice(begin, end - begin) for begin, end in zip([0, *ends[:-1]], ends, strict=True))
        if len(self._files) >= MOST_FILES:
            self._merge()

    def parts(self) -> Iterator[pa.Table]:
        """All that has been written, in `PARTS` tallies of which no two have a text in common."""
        if len(self._files) > 1:
            self._merge()
        for part in range(PARTS):
            yield self._part(part)

    def _merge(self) -> None:
        files = len(self._files)
        self._write(merged([self._part(part)]) for part in range(PARTS))
        del self._files[:files]

    def _part(self, part: int) -> pa.Table:
        """That of each file, one after the other."""
        return pa.Table.from_batches([pa.ipc.open_file(file).get_batch(part) for file in self._files], _SCHEMA)

    def _write(self, parts: Iterable[pa.Table]) -> None:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this object is there
        with pa.ipc.new_file(file, _SCHEMA, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            for part in parts:
                columns = [column.combine_chunks() for column in part.columns]
                writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
        self._files.append(file)
