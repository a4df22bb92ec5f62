"""Reading texts and records from files: plain text, JSON lines, CSV, TSV and Parquet, a little at a time.

Text is exact: only a byte order mark is dropped, and CRLF at the end of a line read as LF.
"""

import csv
import gzip
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, Literal, cast

from unroll.errors import UserError
from unroll.mistakes import did_you_mean
from unroll.text.corpus import BATCH_ROWS, parquet_damage_told

Unit = Literal["line", "paragraph", "file"]
Format = Literal["txt", "jsonl", "csv", "tsv", "parquet"]

ENDINGS: Mapping[str, Format] = {
    ".txt": "txt",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_SURROGATE = re.compile("[\ud800-\udfff]")
BOM = b"\xef\xbb\xbf"


def format_of(path: Path) -> Format:
    """The format that a file's ending tells, behind an optional `.gz`; `UserError` for another ending."""
    name = path.name.removesuffix(".gz")
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        raise UserError(f"{path}: the ending '{ending}' tells no format; say `format:` txt, jsonl, csv, tsv or parquet")
    return ENDINGS[ending]


def lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file (gzip if it ends in `.gz`) without their ends; nothing but LF ends a line."""
    offset = 0
    with _opened(path) as file:
        for raw in file:
            start = len(BOM) if offset == 0 and raw.startswith(BOM) else 0
            line = raw[start:].removesuffix(b"\n")
            if raw.endswith(b"\r\n"):
                line = line[:-1]
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = offset + start + error.start
                raise UserError(
                    f"{path}: byte {byte} (0x{line[error.start]:02x}) is not UTF-8; save the file as UTF-8"
                ) from None
            offset += len(raw)


def texts(path: Path, unit: Unit) -> Iterator[str]:
    """A plain text file as lines, as paragraphs (blank lines lie between them), or as one text."""
    if unit == "line":
        yield from lines(path)
    elif unit == "file":
        yield "\n".join(lines(path))
    else:
        paragraph: list[str] = []
        for line in lines(path):
            if line.strip():
                paragraph.append(line)
            elif paragraph:
                yield "\n".join(paragraph)
                paragraph = []
        if paragraph:
            yield "\n".join(paragraph)


def parallel(paths: tuple[Path, ...], unit: Unit) -> Iterator[tuple[str, ...]]:
    """The texts of several files side by side; `UserError` where they are not equally many."""
    readers = [texts(path, unit) for path in paths]
    for number, row in enumerate(zip_longest(*readers), start=1):
        if None in row:
            counts = [
                number - 1 if text is None else number + sum(1 for _ in reader)
                for text, reader in zip(row, readers, strict=True)
            ]
            having = ", ".join(f"{path} has {count}" for path, count in zip(paths, counts, strict=True))
            raise UserError(f"{having} {unit}s: they part at {unit} {number}; parallel files pair {unit} by {unit}")
        yield row


def records(path: Path, kind: Format, columns: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """The values of `columns` (ours to theirs) in each record of a file, in the order of `columns`."""
    if kind == "jsonl":
        found = _json_records(path)
    elif kind == "parquet":
        found = _parquet_records(path, columns)
    else:
        found = _table_records(path, kind)
    for where, record in found:
        yield pick(where, record, columns)


def pick(where: str, record: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[str, ...]:
    """The texts of `columns` in a record; `a.b` looks inside `a`. `UserError` for what is missing or no text."""
    return tuple(_value(where, record, name) for name in columns.values())


def _value(where: str, record: Mapping[str, Any], name: str) -> str:
    value: Any = record.get(name, record)
    if name not in record:
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise UserError(f"{where}: no column '{name}'{did_you_mean(name, record)}")
            value = value[part]
    if not isinstance(value, str):
        found = "null" if value is None else f"{type(value).__name__} {value!r:.40}"
        raise UserError(f"{where}: column '{name}' is {found}; every value must be text")
    if not value.isascii() and (half := _SURROGATE.search(value)):
        code = f"U+{ord(half.group()):04X}"
        raise UserError(
            f"{where}: column '{name}' has the lone surrogate {code} at character {half.start()}; text must be "
            "valid Unicode"
        )
    return value


def _json_records(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            record = json.loads(line, object_pairs_hook=_each_once)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: bad JSON at character {error.pos}: {error.msg}") from None
        except _RepeatedKeyError as error:
            raise UserError(f"{where}: the key '{error}' twice; an object has each key once") from None
        except (ValueError, RecursionError):
            raise UserError(f"{where}: bad JSON: a number has thousands of digits, or it is nested too deep") from None
        if not isinstance(record, dict):
            raise UserError(f"{where}: {type(record).__name__} {record!r:.40}; every line must be a JSON object")
        yield where, record


class _RepeatedKeyError(Exception):
    """Of which only the last value would be kept."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedKeyError(next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n])))
    return found


def _table_records(path: Path, kind: Format) -> Iterator[tuple[str, Mapping[str, str]]]:
    csv.field_size_limit(2**31 - 1)
    with_ends = (f"{line}\n" for line in lines(path))
    # A quotation mark in a TSV is a character like any other; fields hold neither tabs nor newlines.
    reader = (
        csv.reader(with_ends, delimiter="\t", quoting=csv.QUOTE_NONE)
        if kind == "tsv"
        else csv.reader(with_ends, strict=True)
    )
    header: list[str] = []
    try:
        for fields in reader:
            where = f"{path}:{reader.line_num}"
            if not header:
                header = _checked_header(where, fields)
            elif len(fields) == len(header):
                yield where, dict(zip(header, fields, strict=True))
            elif fields:  # and an empty line is no record
                raise UserError(f"{where}: {len(fields)} fields under {len(header)} headings")
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: bad {kind.upper()}: {error}") from None


def _checked_header(where: str, header: list[str]) -> list[str]:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or not header:
        found = f"heading '{twice[0]}' twice" if twice else "an empty line"
        raise UserError(f"{where}: {found}; the first line must name each column once")
    return header


def _parquet_records(path: Path, columns: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow.parquet as pq

    number = 0
    with _seekable(path) as source:
        try:
            with parquet_damage_told(path), pq.ParquetFile(source) as file:
                wanted = _parquet_columns(path, file.schema_arrow.names, columns)
                for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                    for record in batch.to_pylist():
                        number += 1
                        yield f"{path}: row {number}", record
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}: a text behind row {number} is not UTF-8 at its byte {error.start} "
                f"(0x{error.object[error.start]:02x})"
            ) from None
        except (ValueError, OverflowError) as error:  # a date beyond all years, for instance
            raise UserError(f"{path}: a value behind row {number} cannot be read: {error}") from None


def _parquet_columns(path: Path, names: list[str], columns: Mapping[str, str]) -> list[str]:
    wanted = [name if name in names else name.partition(".")[0] for name in columns.values()]
    for name, there in zip(columns.values(), wanted, strict=True):
        if there not in names:
            raise UserError(f"{path}: no column '{name}'{did_you_mean(name, names)}")
        if names.count(there) > 1:
            raise UserError(f"{path}: the column '{there}' twice; each needs a name of its own")
    return wanted


@contextmanager
def _seekable(path: Path) -> Iterator[IO[bytes]]:
    with _opened(path) as file:
        if path.suffix != ".gz":
            yield file
            return
        with tempfile.TemporaryFile() as whole:
            shutil.copyfileobj(file, whole)
            whole.seek(0)
            yield whole


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file, gzip.open(file) if path.suffix == ".gz" else nullcontext(file) as content:
            yield cast(IO[bytes], content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: the gzip file is truncated or damaged ({error})") from None
