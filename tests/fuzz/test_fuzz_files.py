"""Files of every format: texts come back exactly and in number, and a damaged file is read or refused by its name."""

import csv
import gzip
import io
import itertools
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import NASTY, changed, execute, fuzz, texts
from hypothesis import given
from hypothesis import strategies as st

from unroll.files import read_json, sha256
from unroll.text.corpus import SPLITS, read_texts, write_corpus
from unroll.text.sources import files, url
from unroll.text.sources.files.readers import Format, records

Rows = list[tuple[str, str]]
COLUMNS = {"text": "text", "other": "other"}
SPLIT = {"valid": 0.2, "test": 0.2, "by": "order"}


def as_txt(rows: Rows) -> bytes:
    return "".join(f"{text}\n" for text, _ in rows).encode()


def as_jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps({"text": text, "other": other}) + "\n" for text, other in rows).encode()


def as_csv(rows: Rows) -> bytes:
    table = io.StringIO()
    csv.writer(table, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([tuple(COLUMNS), *rows])
    return table.getvalue().encode()


def as_tsv(rows: Rows) -> bytes:
    return "".join(f"{text}\t{other}\n" for text, other in [tuple(COLUMNS), *rows]).encode()


def as_parquet(rows: Rows) -> bytes:
    file = io.BytesIO()
    table = pa.table({name: [row[n] for row in rows] for n, name in enumerate(COLUMNS)}, schema=SCHEMA)
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
WRITERS: dict[Format, Callable[[Rows], bytes]] = {
    "txt": as_txt,
    "jsonl": as_jsonl,
    "csv": as_csv,
    "tsv": as_tsv,
    "parquet": as_parquet,
}
# What a format cannot hold within a text.
ENDS = {"txt": "\n", "tsv": "\t\n", "csv": "", "jsonl": "", "parquet": ""}
ROWS = [(f"text {n} of a few words", f"and another one, {n}") for n in range(30)]
ENDINGS = [f"{kind}{packed}" for kind in WRITERS for packed in ("", ".gz")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def settings(path: Path, kind: str) -> files.CorpusSettings:
    columns = None if kind == "txt" else list(COLUMNS)
    return files.CorpusSettings(source="files", path=str(path), split=SPLIT, columns=columns, keep_blank=False)


def counted(corpus: Any, folder: Path) -> int:
    """Write a corpus as `fetch` does; how many rows were kept or counted as blank."""
    write_corpus(corpus, folder)
    stated = read_json(folder / "corpus.json")["splits"]
    for split in SPLITS:
        assert sum(1 for _ in read_texts(folder, split, corpus.columns[0])) == stated[split]["rows"]
    return sum(split["rows"] + split["blank_rows"] for split in stated.values())


@pytest.mark.parametrize("ending", ENDINGS)
@fuzz
@given(st.data())
def test_texts_come_back_and_none_is_lost(folder: Path, ending: str, data: st.DataObject) -> None:
    kind: Any = ending.removesuffix(".gz")
    fit = texts.filter(lambda text: not set(text) & set(ENDS[kind]))
    rows = data.draw(st.lists(st.tuples(fit, fit), min_size=1, max_size=12))
    if kind == "txt":  # what is dropped is a byte order mark, and CR before LF
        rows = [(text.rstrip("\r").lstrip("\ufeff"), other) for text, other in rows]
    elif kind in ("csv", "tsv"):  # CR before LF is CR LF
        rows = [tuple(text.replace("\r", "") for text in row) for row in rows]
    path = folder / f"good.{ending}"
    content = WRITERS[kind](rows)
    path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
    if kind != "txt":
        found = execute(f"{ending}: any texts", lambda: list(records(path, kind, COLUMNS)), path.name)
        assert found == rows
    padded = ROWS + rows + ROWS  # so that no split is without text
    path.write_bytes(gzip.compress(WRITERS[kind](padded)) if ending.endswith(".gz") else WRITERS[kind](padded))
    count = execute(f"{ending}: corpus", lambda: counted(files.read(settings(path, kind)), folder / "raw"), path.name)
    assert count == len(padded)


SEEDS = {kind: [write(ROWS), write(ROWS[:1])] for kind, write in WRITERS.items()}
JSON = [b'{"text": "a", "text": "b", "other": "c"}\n', b'"\\udc00"', b'{"text": 1e999}\n', b"{}\n", b"[]\n", b"true\n"]


@pytest.mark.parametrize("ending", ENDINGS)
@fuzz
@given(st.data())
def test_any_bytes_are_read_or_refused(folder: Path, ending: str, data: st.DataObject) -> None:
    kind: Any = ending.removesuffix(".gz")
    content = data.draw(changed(SEEDS[kind], [*NASTY, *JSON]))
    if ending.endswith(".gz"):
        packed = gzip.compress(content, mtime=0)
        content = data.draw(st.sampled_from([packed, packed + packed]) | changed([packed]))
    path = folder / f"bad.{ending}"
    path.write_bytes(content)
    corpus = files.read(settings(path, kind))
    places = [path.name, "split '", "train: row", "valid: row", "test: row"]
    execute(f"{ending}: any bytes", lambda: counted(corpus, folder / "raw"), *places)


TYPES = [
    pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.int8(), pa.uint64(), pa.float16(), pa.float64(),
    pa.bool_(), pa.null(), pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns", tz="Nowhere/City"),
    pa.time64("ns"), pa.duration("us"), pa.decimal128(38, 5), pa.list_(pa.string()), pa.struct([("a", pa.string())]),
    pa.map_(pa.string(), pa.string()), pa.dictionary(pa.int8(), pa.string()),
]  # fmt: skip
numbers = st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31), 2**40, 2**63 - 1, -(2**63)])


def array_of(kind: pa.DataType, number: int, text: str) -> pa.Array | None:
    """Two values of a type, as far as the number or the text can be one."""
    for value in (text, number, text.encode(), [text], {"a": text}, [(text, text)], None):
        try:
            if pa.types.is_temporal(kind):
                width = pa.int32() if kind.bit_width == 32 else pa.int64()
                return pa.array([number, None], width).view(kind)
            return pa.array([value, None], kind)
        except (pa.ArrowException, ValueError, TypeError, OverflowError, AttributeError):
            continue
    return None


@fuzz
@given(st.sampled_from(TYPES), numbers, texts, st.sampled_from(["text", "text.a", "text.text"]))
def test_parquet_of_any_type(folder: Path, kind: pa.DataType, number: int, text: str, name: str) -> None:
    array = array_of(kind, number, text)
    path = folder / "types.parquet"
    if array is None:
        return
    try:
        pq.write_table(pa.table({"text": array}), path)
    except pa.ArrowException:
        return  # which Parquet does not have
    execute("parquet: any type", lambda: list(records(path, "parquet", {"text": name})), path.name)


lines = st.lists(texts.map(lambda text: text.replace("\n", "")), max_size=6)


@fuzz
@given(lines, lines)
def test_parallel_files(folder: Path, sources: list[str], targets: list[str]) -> None:
    for name, column in (("a.txt", sources), ("b.txt", targets)):
        (folder / name).write_bytes("".join(f"{text}\n" for text in column).encode())
    stated = files.CorpusSettings(
        source="files", path=str(folder), train={"a": "a.txt", "b": "b.txt"}, split={**SPLIT, "by": "hash"}
    )
    found = execute("parallel files", lambda: list(files.read(stated).rows), "a.txt")
    assert (found is None) == (len(sources) != len(targets))
    assert found is None or len(found) == len(sources)


def tarred(members: Sequence[tuple[str, bytes, bytes]], mode: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, kind, content in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "../x" if kind != tarfile.REGTYPE else ""
            entry.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def zipped(members: Sequence[tuple[str, bytes, bytes]], mode: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", {"zip": 8, "zip.lzma": 14, "zip.bz2": 12}[mode]) as archive:
        for name, _, content in members:
            archive.writestr(name.replace("\0", "") or "x", content)
    return file.getvalue()


names = (
    st.sampled_from(["x.txt", "d/x.txt", "../x", "/x", "a/../../x", "..\\x", ".", "./x", "a//b", "x" * 300, "C:x"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)  # fmt: skip
kinds = st.sampled_from([tarfile.REGTYPE] * 4 + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
members = st.lists(st.tuples(names, kinds, st.sampled_from([b"", b"a\nb\n", b"x" * 3000, bytes(400_000)])), max_size=5)
TARS = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}
ZIPS = {"zip": "zip", "lzma.zip": "zip.lzma", "bz2.zip": "zip.bz2"}
LIMIT = 200_000
places_of_archives = itertools.count()


@pytest.mark.parametrize("ending", [*TARS, *ZIPS, "gz"])
@fuzz
@given(st.data())
def test_any_archive_stays_in_its_folder_and_its_limit(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ending: str, data: st.DataObject
) -> None:
    there = data.draw(members)
    if ending in TARS:
        content = tarred(there, TARS[ending])
    elif ending in ZIPS:
        content = zipped(there, ZIPS[ending])
    else:
        content = gzip.compress(b"".join(content for *_, content in there), mtime=0)
    if data.draw(st.booleans()):
        content = data.draw(changed([content]))
    if ending == "tar.gz" and data.draw(st.booleans()):  # what is inside is changed, and packed well
        inside = data.draw(changed([tarred(there, "w")]))
        content = gzip.compress(inside, mtime=0)
    place = folder / f"archive{next(places_of_archives)}"
    stored = place / "cache" / "downloads" / "archive"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(content)
    checksum = sha256(stored)
    stored.rename(stored.parent / checksum)
    monkeypatch.setenv("UNROLL_CACHE", str(place / "cache"))
    name = f"bad.{ending}"
    stated = url.CorpusSettings(
        source="url",
        path="params.yaml",
        urls={name: {"url": "https://example.org/x", "sha256": checksum}},
        max_bytes=LIMIT,
        train="**/*",
        format="txt",
        split=SPLIT,
    )
    execute(f"{ending}: any archive", lambda: list(url.read(stated).rows), name, "byte ", "nothing in ")
    left = {path.name for path in place.rglob("*")}
    assert left == {"cache", "downloads", checksum, f"{checksum}.lock"}
