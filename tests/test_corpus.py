"""A corpus on disk: exact, deterministic, counted, and whole or not there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.errors import UserError
from unroll.files import sha256
from unroll.settings import Settings
from unroll.text import corpus as module
from unroll.text.corpus import SPLITS, Corpus, Row, draw, read_texts, write_corpus

GOOD: list[Row] = [("train", ("one",)), ("valid", ("two",)), ("test", ("three",))]


def make(rows: list[Row], columns: tuple[str, ...] = ("text",)) -> Corpus:
    return Corpus(columns, "CC0-1.0", "nowhere", iter(rows))


def summary(folder: Path) -> dict:
    return json.loads((folder / "corpus.json").read_text())


def test_counts_by_hand(tmp_path: Path) -> None:
    rows = [*GOOD, ("train", ("fünf\nx",)), ("train", (" \n\t",)), ("test", ("one",)), ("test", ("one",))]
    write_corpus(make(rows), tmp_path / "c")
    train = summary(tmp_path / "c")["splits"]["train"]
    assert train == {
        "rows": 2,
        "blank_rows": 1,
        "characters": (3 + 1) + (6 + 1),
        "bytes": (3 + 1) + (7 + 1),
        "sha256": sha256(tmp_path / "c" / "train.parquet"),
    }
    assert summary(tmp_path / "c")["overlap"] == {"valid_in_train": 0, "test_in_train": 2, "test_in_valid": 0}
    assert summary(tmp_path / "c")["licence"] == "CC0-1.0"
    assert summary(tmp_path / "c")["settings"] is None


def test_settings_are_recorded(tmp_path: Path) -> None:
    class Source(Settings):
        source: str
        size: int | None = None

    write_corpus(make(GOOD), tmp_path / "c", Source(source="x"))
    assert summary(tmp_path / "c")["settings"] == {"source": "x", "size": None}


@pytest.mark.parametrize("compared", [1, 2, 1 << 20])
def test_overlap_is_of_whole_rows_and_of_each_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compared: int
) -> None:
    monkeypatch.setattr(module, "COMPARED", compared)
    rows = [
        ("train", ("a", "b")),
        ("valid", ("a", "c")),
        ("test", ("a", "b")),
        ("test", ("b", "a")),
        ("test", ("d", "c")),
    ]
    write_corpus(make(rows, ("source", "target")), tmp_path / "c")
    assert summary(tmp_path / "c")["overlap"] == {
        "valid_in_train": 0,
        "test_in_train": 1,
        "test_in_valid": 0,
        "columns": {
            "source": {"valid_in_train": 1, "test_in_train": 1, "test_in_valid": 1},
            "target": {"valid_in_train": 0, "test_in_train": 1, "test_in_valid": 1},
        },
    }


@pytest.mark.parametrize("compared", [1, 1 << 20])
def test_overlap_of_validation_and_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compared: int) -> None:
    monkeypatch.setattr(module, "COMPARED", compared)
    write_corpus(make([*GOOD, ("test", ("two",)), ("test", ("two",))]), tmp_path / "c")
    assert summary(tmp_path / "c")["overlap"] == {"valid_in_train": 0, "test_in_train": 0, "test_in_valid": 2}


@given(st.lists(st.text(max_size=30), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_text_is_kept_exactly(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("exact") / "c"
    write_corpus(make([*GOOD, *(("train", (text,)) for text in texts)]), folder)
    assert list(read_texts(folder, "train", "text")) == ["one", *(text for text in texts if text.strip())]


def test_order_survives_many_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_ROWS", 3)
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    texts = [f"text {n}" for n in range(20)]
    write_corpus(make([("train", (text,)) for text in texts] + GOOD[1:]), tmp_path / "c")
    assert list(read_texts(tmp_path / "c", "train", "text")) == texts


def test_same_rows_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_corpus(make(GOOD), tmp_path / name)
    for file in ("train.parquet", "valid.parquet", "test.parquet", "corpus.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_without_rows_is_refused(tmp_path: Path, split: str) -> None:
    rows = [row for row in GOOD if row[0] != split] + [(split, (" ",))]
    with pytest.raises(UserError, match=f"split '{split}' has no rows"):
        write_corpus(make(rows), tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_lone_surrogate_is_named(tmp_path: Path) -> None:
    rows = [*GOOD, ("train", ("  ",)), ("train", ("ab\ud800",))]
    with pytest.raises(UserError, match=r"train: row 3, column 'text': lone surrogate U\+D800 at character 2"):
        write_corpus(make(rows), tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> Iterator[Row]:
        yield from GOOD
        raise UserError("line 4: broken")

    with pytest.raises(UserError, match="line 4"):
        write_corpus(Corpus(("text",), "", "", rows()), tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_corpus_that_was_there(tmp_path: Path) -> None:
    write_corpus(make(GOOD), tmp_path / "c")
    with pytest.raises(UserError):
        write_corpus(make(GOOD[:1]), tmp_path / "c")
    assert list(read_texts(tmp_path / "c", "test", "text")) == ["three"]


def test_unknown_column_and_split(tmp_path: Path) -> None:
    write_corpus(make(GOOD), tmp_path / "c")
    with pytest.raises(UserError, match="no column 'texts'; did you mean 'text'"):
        list(read_texts(tmp_path / "c", "train", "texts"))
    with pytest.raises(UserError, match="fetch the corpus first"):
        list(read_texts(tmp_path / "d", "train", "text"))


def test_draw_is_uniform_and_fixed() -> None:
    numbers = [draw(1, str(n)) for n in range(2000)]
    assert min(numbers) >= 0 and max(numbers) < 1
    assert abs(sum(numbers) / len(numbers) - 0.5) < 0.03
    assert draw(1, "a", "b") == draw(1, "a", "b") != draw(2, "a", "b")
    assert draw(1, "ab") != draw(1, "a", "b")
