"""The `files` source: what is read, exactly, and what is refused, with the place."""

import csv
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from unroll.errors import UserError
from unroll.text.corpus import Row
from unroll.text.sources.files import CorpusSettings, read
from unroll.text.sources.files.readers import lines, records, texts
from unroll.text.sources.files.splitting import SplitSettings, carve

SPLITS = {"train": "train.*", "valid": "valid.*", "test": "test.*"}


def rows(folder: Path, **given: Any) -> list[Row]:
    return list(read(CorpusSettings(source="files", path=str(folder), **given)).rows)


def put(folder: Path, **files: str | bytes) -> Path:
    """Write files; the name `a__b` stands for `a.b`."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


# What is read


def test_lines_of_each_split(tmp_path: Path) -> None:
    put(tmp_path, train__txt="a\nb\n", valid__txt="c", test__txt="d\n\ne\n")
    assert rows(tmp_path, **SPLITS) == [
        ("train", ("a",)),
        ("train", ("b",)),
        ("valid", ("c",)),
        ("test", ("d",)),
        ("test", ("",)),
        ("test", ("e",)),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\nb", ["a", "b"]),
        (b"  a \t\n b", ["  a \t", " b"]),
        ("a\u2028b\x0bc\x0cd\x85e\rf\n".encode(), ["a\u2028b\x0bc\x0cd\x85e\rf"]),
        (b"a\x00b\n", ["a\x00b"]),
        (b"NA\nnull\n1.50\n", ["NA", "null", "1.50"]),
    ],
)
def test_lines_are_exact(tmp_path: Path, content: bytes, expected: list[str]) -> None:
    assert list(lines(put(tmp_path, x__txt=content) / "x.txt")) == expected
    assert list(lines(put(tmp_path, x__txt__gz=gzip.compress(content)) / "x.txt.gz")) == expected


def test_paragraphs_and_whole_files(tmp_path: Path) -> None:
    path = put(tmp_path, x__txt="\n\na\n b\n \t\n\nc\n") / "x.txt"
    assert list(texts(path, "paragraph")) == ["a\n b", "c"]
    assert list(texts(path, "file")) == ["\n\na\n b\n \t\n\nc"]


def test_globs_in_order_and_each_file_once(tmp_path: Path) -> None:
    put(tmp_path, b1__txt="b1", b2__txt="b2", a__txt="a", v__txt="v", t__txt="t")
    found = rows(tmp_path, train=["b*.txt", "a.txt", "b1.txt"], valid="v.txt", test="t.txt")
    assert [text for _, (text,) in found] == ["b1", "b2", "a", "v", "t"]


def test_parallel_files(tmp_path: Path) -> None:
    put(
        tmp_path,
        train__en="a\nb",
        train__de="A\nB",
        dev__en="c",
        dev__de="C",
        test__en="d",
        test__de__gz=gzip.compress(b"D"),
    )
    found = rows(
        tmp_path,
        train={"en": "train.en", "de": "train.de"},
        valid={"en": "dev.en", "de": "dev.de"},
        test={"en": "test.en", "de": "test.de.gz"},
    )
    assert found == [("train", ("a", "A")), ("train", ("b", "B")), ("valid", ("c", "C")), ("test", ("d", "D"))]


VALUES = ["plain", "NA", "null", "1.50", "", " spaced ", 'a "quoted" word', "a, comma", "two\nlines", "ümläut"]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "jsonl.gz", "csv.gz", "parquet.gz"])
def test_tables_are_exact(tmp_path: Path, ending: str) -> None:
    body = write_table(ending.removesuffix(".gz"), [{"n": f"{n}", "text": value} for n, value in enumerate(VALUES)])
    path = tmp_path / f"x.{ending}"
    path.write_bytes(gzip.compress(body) if ending.endswith(".gz") else body)
    kind: Any = ending.removesuffix(".gz")
    assert list(records(path, kind, {"words": "text", "id": "n"})) == [(v, f"{n}") for n, v in enumerate(VALUES)]


def write_table(kind: str, records: list[dict[str, str]]) -> bytes:
    if kind == "jsonl":
        return "\n".join(json.dumps(record) for record in records).encode()
    if kind == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(records), sink)
        return sink.getvalue()
    text = io.StringIO()
    writer = csv.DictWriter(text, records[0])
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def test_tsv_quotes_are_characters(tmp_path: Path) -> None:
    path = put(tmp_path, x__tsv='en\tde\n"a\tb"c\n') / "x.tsv"
    assert list(records(path, "tsv", {"en": "en", "de": "de"})) == [('"a', 'b"c')]


def test_nested_column(tmp_path: Path) -> None:
    path = put(tmp_path, x__jsonl='{"translation": {"en": "a", "de": "b"}, "x.y": "c"}') / "x.jsonl"
    assert list(records(path, "jsonl", {"en": "translation.en", "xy": "x.y"})) == [("a", "c")]
    pq.write_table(pa.table({"translation": [{"en": "a", "de": "b"}]}), tmp_path / "x.parquet")
    assert list(records(tmp_path / "x.parquet", "parquet", {"de": "translation.de"})) == [("b",)]


def test_columns_renamed_and_default(tmp_path: Path) -> None:
    put(
        tmp_path,
        train__jsonl='{"text": "a", "b": "c"}',
        valid__csv="b,text\nd,e",
        test__jsonl='{"text": "f", "b": "g"}',
    )
    assert rows(tmp_path, **SPLITS) == [("train", ("a",)), ("valid", ("e",)), ("test", ("f",))]
    found = read(CorpusSettings(source="files", path=str(tmp_path), columns={"one": "text", "two": "b"}, **SPLITS))
    assert found.columns == ("one", "two")
    assert list(found.rows)[1] == ("valid", ("e", "d"))


line = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(line.filter(lambda text: not text.endswith("\r") and not text.startswith("\ufeff")), max_size=20))
@settings(deadline=None)
def test_any_lines_come_back(tmp_path_factory: pytest.TempPathFactory, written: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes("".join(f"{text}\n" for text in written).encode())
    assert list(lines(path)) == written


# Splitting


def test_one_file_split_by_order(tmp_path: Path) -> None:
    path = put(tmp_path, x__txt="".join(f"line{n}\n" for n in range(10))) / "x.txt"
    found = rows(path, split={"valid": 0.25, "test": 0.1})
    # 60 characters: the last 6 are test, and 15 before them valid, which two whole lines fit into.
    assert [split for split, _ in found] == ["train"] * 7 + ["valid"] * 2 + ["test"]
    assert [text for _, (text,) in found] == [f"line{n}" for n in range(10)]


def test_split_of_train_beside_a_test_file(tmp_path: Path) -> None:
    put(tmp_path, train__txt="a\nb\nc\nd", test__txt="e")
    found = rows(tmp_path, train="train.txt", test="test.txt", split={"valid": 0.25})
    assert [split for split, _ in found] == ["train", "train", "train", "valid", "test"]


@given(st.integers(0, 3), st.permutations(range(300)))
@settings(max_examples=20, deadline=None)
def test_by_hash_neither_order_nor_copies_matter(seed: int, order: list[int]) -> None:
    def split(texts: list[tuple[str, ...]]) -> set[Row]:
        return set(carve(lambda: iter(texts), SplitSettings(valid=0.2, test=0.1, by="hash", seed=seed)))

    texts = [(f"text {n}",) for n in range(300)]
    found = split(texts)
    assert len(found) == 300
    assert found == split([texts[n] for n in order] + texts)
    sizes = [sum(name == part for part, _ in found) for name in ("train", "valid", "test")]
    assert 180 <= sizes[0] <= 240 and 35 <= sizes[1] <= 85 and 12 <= sizes[2] <= 50


@given(st.lists(st.text("ab", max_size=9), min_size=1, max_size=30), st.sampled_from([0.1, 0.3]))
@settings(deadline=None)
def test_by_order_is_a_cut(texts: list[str], part: float) -> None:
    found = list(carve(lambda: iter([(text,) for text in texts]), SplitSettings(valid=part, test=part)))
    assert [row for _, (row,) in found] == texts
    names = [split for split, _ in found]
    assert names == sorted(names, key=["train", "valid", "test"].index)
    size = sum(len(text) + 1 for text in texts)
    assert sum(len(row) + 1 for split, (row,) in found if split == "test") <= part * size


# What is refused


@pytest.mark.parametrize(
    ("files", "given", "message"),
    [
        ({}, {"train": "x.txt"}, "nothing in .* matches 'x.txt'; there is no file at all"),
        ({"a__txt": "a"}, {"train": "*.csv"}, r"train: nothing in .* matches '\*.csv'; there is a.txt"),
        ({"a__md": "a"}, {"train": "a.md"}, "ending '.md' tells no format; say `format:`"),
        ({"a__jsonl": '{"txt": "a"}'}, {"train": "a.jsonl"}, "a.jsonl:1: no column 'text'; did you mean 'txt'"),
        ({"a__csv": "txt\na"}, {"train": "a.csv"}, "a.csv:2: no column 'text'; did you mean 'txt'"),
        ({"a__txt": b"ab\nc\xffd"}, {"train": "a.txt"}, r"a.txt: byte 4 \(0xff\) is not UTF-8"),
        ({"a__txt": b"\xef\xbb\xbf\xc3"}, {"train": "a.txt"}, r"a.txt: byte 3 \(0xc3\) is not UTF-8"),
        ({"a__txt": b"\xed\xa0\x80"}, {"train": "a.txt"}, "byte 0 .* is not UTF-8"),
        ({"a__jsonl": '{"text": "a"}\n\n{"text": }'}, {"train": "a.jsonl"}, "a.jsonl:3: bad JSON at character 9"),
        ({"a__jsonl": '["a"]'}, {"train": "a.jsonl"}, "a.jsonl:1: list .* must be a JSON object"),
        ({"a__jsonl": '{"text": null}'}, {"train": "a.jsonl"}, "a.jsonl:1: column 'text' is null; every value must be"),
        ({"a__jsonl": '{"text": 7}'}, {"train": "a.jsonl"}, "a.jsonl:1: column 'text' is int 7"),
        (
            {"a__jsonl": '{"text": "a", "text": "b"}'},
            {"train": "a.jsonl"},
            "a.jsonl:1: the key 'text' twice; an object has each key once",
        ),
        (
            {"a__jsonl": '{"x": {"b": 1, "b": 2}, "text": "a"}'},
            {"train": "a.jsonl"},
            "a.jsonl:1: the key 'b' twice; an object has each key once",
        ),
        (
            {"a__jsonl": '{"text": "a"}\n{"text": "a\\ud800b"}'},
            {"train": "a.jsonl"},
            r"a.jsonl:2: column 'text' has the lone surrogate U\+D800 at character 1",
        ),
        ({"a__jsonl": '{"text": NaN}'}, {"train": "a.jsonl"}, "a.jsonl:1: column 'text' is float nan"),
        ({"a__csv": 'text\n"a\n\nb"\nc,d'}, {"train": "a.csv"}, "a.csv:5: 2 fields under 1 heading"),
        ({"a__csv": 'text\n"a'}, {"train": "a.csv"}, "a.csv:2: bad CSV: unexpected end of data"),
        ({"a__csv": "text,text\na,b"}, {"train": "a.csv"}, "a.csv:1: heading 'text' twice"),
        ({"a__parquet": "no"}, {"train": "a.parquet"}, "a.parquet: no valid Parquet file"),
        ({"a__txt__gz": gzip.compress(b"ab\n" * 99)[:-9]}, {"train": "a.txt.gz"}, "a.txt.gz: .* truncated or damaged"),
        ({"a__txt__gz": b"plain"}, {"train": "a.txt.gz"}, "a.txt.gz: .* truncated or damaged"),
        ({"a__txt": "a"}, {"train": "a.txt", "columns": ["x"]}, "is text, which has no columns"),
        ({"a__csv": "text\na"}, {"train": "a.csv", "rows": "file"}, "`rows: file` is for text files, not csv"),
        ({"a__txt": "a"}, {"train": "*.txt", "valid": "a.*", "split": {"test": 0.1}}, "in both train and valid"),
    ],
)
def test_bad_files_are_told(tmp_path: Path, files: dict[str, Any], given: dict[str, Any], message: str) -> None:
    put(tmp_path, **files)
    given = {"split": {"valid": 0.1, "test": 0.1}} | given
    with pytest.raises(UserError, match=message):
        rows(tmp_path, **given)


@pytest.mark.parametrize("shorter", ["en", "de"])
def test_unequal_parallel_files(tmp_path: Path, shorter: str) -> None:
    put(tmp_path, en="1\n2\n3\n4\n5", de="1\n2\n3\n4\n5")
    put(tmp_path, **{shorter: "1\n2\n"})
    with pytest.raises(UserError) as caught:
        rows(tmp_path, train={"en": "en", "de": "de"}, split={"valid": 0.1, "test": 0.1, "by": "hash"})
    counts = {"en": 2, "de": 5} if shorter == "en" else {"en": 5, "de": 2}
    for name, count in counts.items():
        assert f"{tmp_path / name} has {count}" in str(caught.value)
    assert "part at line 3" in str(caught.value)


def test_parallel_files_in_unequal_numbers(tmp_path: Path) -> None:
    put(tmp_path, a__en="1", b__en="2", a__de="1")
    with pytest.raises(UserError, match="equal numbers; found 2 for en, 1 for de"):
        rows(tmp_path, train={"en": "*.en", "de": "*.de"}, split={"valid": 0.1, "test": 0.1})


def test_null_and_numbers_in_parquet(tmp_path: Path) -> None:
    split = {"valid": 0.1, "test": 0.1, "by": "hash"}
    for values, message in ([["a", None], "row 2: column 'text' is null"], [[1, 2], "row 1: column 'text' is int 1"]):
        pq.write_table(pa.table({"text": values}), tmp_path / "x.parquet")
        with pytest.raises(UserError, match=message):
            rows(tmp_path, train="x.parquet", split=split)
    with pytest.raises(UserError, match="no column 'txt'; did you mean 'text'"):
        rows(tmp_path, train="x.parquet", split=split, columns=["txt"])


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.date64()])
def test_parquet_dates_beyond_all_years(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"text": pa.array([0, 86_400_000 * 2**24], pa.int64()).view(kind)}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"x\.parquet: (row 1: column 'text' is date|a value behind row 0 cannot)"):
        rows(tmp_path, train="x.parquet", split={"valid": 0.1, "test": 0.1, "by": "hash"})


def test_a_parquet_column_that_is_there_twice(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"x\.parquet: the column 'text' twice"):
        rows(tmp_path, train="x.parquet", split={"valid": 0.1, "test": 0.1, "by": "hash"})


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv", "parquet", "txt"])
def test_separators_marks_and_directions_are_characters(tmp_path: Path, ending: str) -> None:
    """NEL, the line and paragraph separators, form feeds and NUL end no line; nothing is normalised or reordered."""
    values = [
        "a\u2028b\u2029c\x85d\x0ce\x1cf",
        "e\u0301 \u00e9 n\u0303",
        "\u202eabc\u202c שלום عالم",
        "a\x00b",
        "\ufeff x",
    ]
    if ending == "txt":
        body = "".join(f"{value}\n" for value in values).encode()
    elif ending == "tsv":
        body = "\n".join(["text", *values]).encode()
    else:
        body = write_table(ending, [{"text": value} for value in values])
    (tmp_path / f"x.{ending}").write_bytes(body)
    found = rows(tmp_path, train=f"x.{ending}", split={"valid": 0.1, "test": 0.1, "by": "hash"})
    assert [text for _, (text,) in found] == values


def test_missing_path_and_file_or_folder(tmp_path: Path) -> None:
    put(tmp_path, a__txt="a")
    split = {"valid": 0.1, "test": 0.1}
    with pytest.raises(UserError, match="nowhere: no such file or folder"):
        rows(tmp_path / "nowhere", train="a.txt", split=split)
    with pytest.raises(UserError, match="is one file: leave `train` out"):
        rows(tmp_path / "a.txt", train="a.txt", split=split)
    with pytest.raises(UserError, match="is a folder: say in `train`"):
        rows(tmp_path, split=split)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": "a"}, "valid has neither files nor a part"),
        ({"train": "a", "valid": "b", "split": {"test": 0.1, "valid": 0.1}}, "valid has both files and a part"),
        ({"train": "a", "split": {"test": 0.6, "valid": 0.5}}, "must be less than 1"),
        ({"train": "../a", "valid": "b", "test": "c"}, "'../a' must be a path below"),
        ({"train": "/a", "valid": "b", "test": "c"}, "'/a' must be a path below"),
        ({"train": {"a": "x"}, "valid": {"b": "x"}, "test": {"a": "y"}}, "same columns in the same order"),
        ({"train": {"a": "x"}, "valid": "x", "test": {"a": "y"}}, "same columns in the same order"),
        ({"train": {"a": "x"}, "split": {"test": 0.1, "valid": 0.1}, "format": "csv"}, "for parallel text files"),
        ({"train": "a", "valid": "b", "test": "c", "columns": []}, "columns must be named"),
        ({"train": "a", "valid": "b", "test": "c", "columns": ["x", "x"]}, "columns must be named, each once"),
        ({"train": "a", "valid": "b", "test": "c", "encoding": "latin-1"}, "encoding"),
    ],
)
def test_bad_settings_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CorpusSettings(source="files", path="x", **given)


def test_large_files_are_streamed(tmp_path: Path) -> None:
    """The first rows come before a mistake at the end is met."""
    numbers = random.Random(1)
    good = "".join(json.dumps({"text": f"{numbers.random()}"}) + "\n" for _ in range(5000))
    put(tmp_path, x__jsonl=good + "{")
    found = records(tmp_path / "x.jsonl", "jsonl", {"text": "text"})
    assert len([next(found) for _ in range(5000)]) == 5000
    with pytest.raises(UserError, match=":5001: bad JSON"):
        next(found)
