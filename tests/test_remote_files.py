"""The `files` source at an address that fsspec knows: the same rows as of the same files in a folder."""

import gzip

import fsspec
import pytest
from test_files_source import put, rows, write_table

from unroll.errors import UserError

PAIRS = {"train": "*/train.*", "valid": "valid.*", "test": "**/test.*"}


@pytest.fixture
def store():
    fs = fsspec.filesystem("memory")
    fs.rm("/", recursive=True)
    return fs


def both(tmp_path, store, **given):
    """The rows of the files in a folder and of the same files in the store."""
    store.put(f"{tmp_path}/", "/corpus/", recursive=True)
    return rows(tmp_path, **given), rows("memory://corpus", **given)


def test_texts_in_folders(tmp_path, store):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    put(tmp_path / "b", train__txt="three\n")
    put(tmp_path / "a", train__txt="one\ntwo", test__txt="five\n")
    put(tmp_path, valid__txt="four\r\n")
    here, there = both(tmp_path, store, **PAIRS)
    assert there == here
    assert [text for _, (text,) in there] == ["one", "two", "three", "four", "five"]


def test_parallel_files(tmp_path, store):
    put(tmp_path, train__en="a\nb\n", train__de="A\nB\n", dev__en="c\n", dev__de="C\n")
    train, valid = ({side: f"{name}.{side}" for side in ("en", "de")} for name in ("train", "dev"))
    here, there = both(tmp_path, store, train=train, valid=valid, split={"test": 0.5})
    assert there == here
    assert len(there) == 3


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "jsonl.gz", "parquet.gz"])
def test_tables(tmp_path, store, ending):
    kind, *zipped = ending.split(".")
    content = write_table(kind, [{"text": "one\u00e4"}, {"text": "two"}])
    (tmp_path / f"all.{ending}").write_bytes(gzip.compress(content) if zipped else content)
    given = {"columns": ["text"], "train": f"*.{ending}", "split": {"valid": 0.5, "test": 0.4}}
    here, there = both(tmp_path, store, **given)
    assert there == here


def test_one_file(store):
    store.pipe_file("/one.txt", b"".join(b"%d\n" % n for n in range(10)))
    read = rows("memory://one.txt", split={"valid": 0.2, "test": 0.2, "by": "order"})
    assert [text for _, (text,) in read] == [str(n) for n in range(10)]


def test_mistakes_are_told_with_the_address(store):
    with pytest.raises(UserError, match=r"memory://corpus: no such file or folder; it should hold train.txt"):
        rows("memory://corpus", train="train.txt", valid="valid.txt", test="test.txt")
    store.pipe_file("/corpus/valid.txt", b"x\xff\n")
    with pytest.raises(UserError, match=r"nothing in memory://corpus matches 'train.txt'; there is valid.txt"):
        rows("memory://corpus", train="train.txt", valid="valid.txt", test="test.txt")
    with pytest.raises(UserError, match=r"memory://corpus/valid.txt: byte 1 \(0xff\) is not UTF-8"):
        rows("memory://corpus", train="valid.txt", split={"valid": 0.5, "test": 0.4})


def test_an_address_of_no_store_is_refused():
    with pytest.raises(UserError, match="nothing://x"):
        rows("nothing://x", train="a", valid="b", test="c")
