"""A corpus on disk: a Parquet file a split, a row a text (or a pair, or an image), and `corpus.json` that describes it.

Rows are streamed: what stays in memory is one row group a split, and to find duplicates eight bytes a row, of pairs
eight more a text.
"""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unroll.checksums import write_sums
from unroll.errors import UserError
from unroll.files import sha256, whole_folder, write_json
from unroll.mistakes import did_you_mean
from unroll.progress import followed
from unroll.settings import Settings

SPLITS = ("train", "valid", "test")
GROUP_ROWS, GROUP_CHARACTERS = 16_384, 8_000_000  # or bytes of images; a row group ends at whichever comes first
BATCH_ROWS = 1_024  # rows read at a time
# Texts hardly ever repeat and their minimum means nothing: no dictionaries, no statistics.
PARQUET: Mapping[str, Any] = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
COMPARED = 1 << 20  # rows looked at at a time for duplicates
WHOLE = ""  # in place of a column: rows as they are

ColumnKind = Literal["text", "texts", "bytes"]
TYPES = {"text": pa.string(), "texts": pa.list_(pa.string()), "bytes": pa.binary()}
Cell = str | tuple[str, ...] | bytes
Row = tuple[str, tuple[Cell, ...]]
"""The split of a row, and its cells in the order of the columns."""


@dataclass(frozen=True)
class Corpus:
    """Where texts come from and the texts themselves, which may be read once."""

    columns: tuple[str, ...]
    licence: str
    origin: str
    """Where the text came from, for a person to read."""
    rows: Iterable[Row]
    keep_blank: bool = False
    """Whether rows stay that are blank in every column."""
    kinds: Mapping[str, ColumnKind] = field(default_factory=dict)
    """Columns that hold no single text in a row: several (captions), or bytes (an image)."""


def write_corpus(corpus: Corpus, folder: Path, settings: Settings | None = None) -> None:
    """Write `corpus` as `folder`, whole or not at all; `settings` are recorded as its source.

    Text is kept exactly. Rows that are blank in every column are left out and counted, unless `corpus` keeps them.
    `UserError` for a row that is no valid Unicode (lone surrogates) and for a split without rows.
    """
    with whole_folder(folder) as part:
        with ExitStack() as stack:
            splits = {name: stack.enter_context(_Split(name, part, corpus)) for name in SPLITS}
            for split, cells in followed(corpus.rows, f"{folder.name}: rows read"):
                splits[split].add(cells)
        empty = [f"{folder.name}: split '{name}' has no rows" for name in SPLITS if not splits[name].rows]
        if empty:
            raise UserError([f"{line}; each of {', '.join(SPLITS)} needs text" for line in empty])
        overlap: dict[str, Any] = dict(_overlap(splits, WHOLE))
        if len(corpus.columns) > 1:
            overlap["columns"] = {column: _overlap(splits, column) for column in corpus.columns}
        write_json(
            part / "corpus.json",
            {
                "columns": list(corpus.columns),
                "splits": {name: split.summary() for name, split in splits.items()},
                "overlap": overlap,
                "licence": corpus.licence,
                "origin": corpus.origin,
                "settings": settings.model_dump(mode="json") if settings else None,
            },
        )
        write_sums(part)


def read_texts(folder: Path, split: str, column: str, groups: range | None = None) -> Iterator[str]:
    """The texts of one column in order, read a few at a time; `UserError` for an unknown split or column.

    Where a row has several, one comes after the other. `groups` are the row groups wanted, by default all.
    """
    for cells in _read(folder, split, column, groups):
        yield from cells if isinstance(cells[0], str) else chain.from_iterable(cells)


def read_cells(folder: Path, split: str, column: str) -> Iterator[Any]:
    """The cells of one column in order: a text each, or a list of texts, or bytes; as `read_texts`."""
    return chain.from_iterable(_read(folder, split, column, None))


def _read(folder: Path, split: str, column: str, groups: range | None) -> Iterator[list[Any]]:
    """Some cells at a time, never none."""
    with _opened(folder, split, column) as file:
        # By row groups: `iter_batches` would keep the whole compressed file in memory.
        for group in range(file.num_row_groups) if groups is None else groups:
            for batch in file.read_row_group(group, columns=[column]).to_batches(BATCH_ROWS):
                if len(batch):
                    yield batch.column(0).to_pylist()


def row_groups(folder: Path, split: str, column: str) -> list[int]:
    """The bytes that each row group holds of a column; `UserError` as of `read_texts`."""
    with _opened(folder, split, column) as file:
        place = file.schema_arrow.names.index(column)
        groups = map(file.metadata.row_group, range(file.num_row_groups))
        return [group.column(place).total_uncompressed_size for group in groups]


@contextmanager
def _opened(folder: Path, split: str, column: str) -> Iterator[pq.ParquetFile]:
    path = folder / f"{split}.parquet"
    if not path.is_file():
        raise UserError(f"{path}: no such file; fetch the corpus first")
    with parquet_damage_told(path), pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if column not in names:
            raise UserError(f"{path}: no column '{column}'{did_you_mean(column, names)}")
        yield file


@contextmanager
def parquet_damage_told(path: Path) -> Iterator[None]:
    """`UserError` naming `path` where it cannot be read as Parquet."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: no valid Parquet file, or a damaged one: {error}") from None


def draw(seed: int, *parts: str) -> float:
    """A number from [0, 1) that `seed` and `parts` alone decide, on every machine."""
    digest = hashlib.blake2b("\0".join([str(seed), *parts]).encode("utf-8", "surrogatepass"), digest_size=8)
    return (int.from_bytes(digest.digest(), "big") >> 11) / (1 << 53)


def _overlap(splits: Mapping[str, "_Split"], column: str) -> dict[str, int]:
    """How many rows of a split stand in another, too; of a column, how many of its texts."""
    hashes = {name: np.frombuffer(split.hashes[column], dtype=np.uint64) for name, split in splits.items()}
    return {
        f"{name}_in_{other}": int(_among(hashes[name], hashes[other]).sum())
        for name, other in (("valid", "train"), ("test", "train"), ("test", "valid"))
    }


def _among(few: NDArray[np.uint64], many: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of `few` are in `many`, which is looked at in parts: sorted whole it would take its room several times."""
    found = np.zeros(len(few), dtype=bool)
    for start in range(0, len(many), COMPARED):
        found |= np.isin(few, many[start : start + COMPARED])
    return found


class _Split:
    """The Parquet file of one split while it is written, and what is counted on the way."""

    def __init__(self, name: str, folder: Path, corpus: Corpus) -> None:
        self.name, self.columns, self.keep_blank = name, corpus.columns, corpus.keep_blank
        self.path = folder / f"{name}.parquet"
        self.rows = self.characters = self.bytes = self.blank_rows = 0
        self.hashes = {column: array("Q") for column in (WHOLE, *corpus.columns)}
        kinds = {column: TYPES[corpus.kinds.get(column, "text")] for column in corpus.columns}
        self.schema = pa.schema([pa.field(column, kind, nullable=False) for column, kind in kinds.items()])
        self._group: list[tuple[Cell, ...]] = []
        self._group_size = 0

    def __enter__(self) -> "_Split":
        self._writer = pq.ParquetWriter(self.path, self.schema, **PARQUET)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, cells: tuple[Cell, ...]) -> None:
        """Take one row."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{self.name}: a row of {len(cells)} texts for the columns {self.columns}")
        if not self.keep_blank and not any(cell and not (isinstance(cell, str) and cell.isspace()) for cell in cells):
            self.blank_rows += 1
            return
        parts = [(column, part) for column, cell in zip(self.columns, cells, strict=True) for part in _parts(cell)]
        encoded = [part if isinstance(part, bytes) else self._utf8(column, part) for column, part in parts]
        # 0xFF occurs in no UTF-8 text, so that it keeps the columns of a row apart.
        self._remember(WHOLE, b"\xff".join(encoded))
        owners = [column for column, _ in parts]
        for column in self.columns if len(self.columns) > 1 else ():
            self._remember(
                column, b"\xff".join(part for owner, part in zip(owners, encoded, strict=True) if owner == column)
            )
        texts = [part for _, part in parts if isinstance(part, str)]
        characters = sum(map(len, texts)) + len(texts)
        self.rows += 1
        self.characters += characters
        self.bytes += sum(map(len, encoded)) + len(encoded)
        self._group.append(cells)
        self._group_size += characters + sum(len(cell) for cell in cells if isinstance(cell, bytes))
        if len(self._group) >= GROUP_ROWS or self._group_size >= GROUP_CHARACTERS:
            self._flush()

    def summary(self) -> dict[str, Any]:
        """Counts for `corpus.json`; a text has one character, and one byte, more than is written: its end."""
        return {
            "rows": self.rows,
            "blank_rows": self.blank_rows,
            "characters": self.characters,
            "bytes": self.bytes,
            "sha256": sha256(self.path),
        }

    def _remember(self, column: str, text: bytes) -> None:
        digest = hashlib.blake2b(text, digest_size=8).digest()
        self.hashes[column].append(int.from_bytes(digest, "little"))

    def _utf8(self, column: str, text: str) -> bytes:
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError as error:
            code = f"U+{ord(text[error.start]):04X}"
            row = self.rows + self.blank_rows + 1
            raise UserError(
                f"{self.name}: row {row}, column '{column}': lone surrogate {code} at character "
                f"{error.start}; text must be valid Unicode"
            ) from None

    def _flush(self) -> None:
        if self._group:
            columns = [list(column) for column in zip(*self._group, strict=True)]
            self._writer.write_table(pa.table(columns, schema=self.schema))
            self._group, self._group_size = [], 0


def _parts(cell: Cell) -> tuple[str | bytes, ...]:
    return cell if isinstance(cell, tuple) else (cell,)
