"""The `hub` source on data sets that lie in a local folder: what `datasets` does with them is the same."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from unroll.errors import UserError
from unroll.text.corpus import Row
from unroll.text.sources.hub import CorpusSettings, read

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))


def rows(folder: Path, **given: Any) -> list[Row]:
    settings = CorpusSettings(source="hub", path="params.yaml", dataset=str(folder), revision=COMMIT, **given)
    return list(read(settings).rows)


def put(folder: Path, ending: str, splits: dict[str, list[dict[str, Any]]]) -> Path:
    folder.mkdir(exist_ok=True)
    for split, records in splits.items():
        path = folder / f"{split}.{ending}"
        if ending == "parquet":
            pq.write_table(pa.Table.from_pylist(records), path)
        elif ending == "jsonl":
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
        else:
            path.write_text("\n".join([*records[0], *(",".join(record.values()) for record in records)]) + "\n")
    return folder


def texts(*values: str) -> list[dict[str, str]]:
    return [{"text": value} for value in values]


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_splits_and_exact_text(tmp_path: Path, ending: str) -> None:
    folder = put(
        tmp_path / "d", ending, {"train": texts("NA", "a b", "null"), "validation": texts("c"), "test": texts("d")}
    )
    assert rows(folder) == [
        ("train", ("NA",)),
        ("train", ("a b",)),
        ("train", ("null",)),
        ("valid", ("c",)),
        ("test", ("d",)),
    ]


def test_nested_columns_and_a_carved_split(tmp_path: Path) -> None:
    records = [{"translation": {"en": f"en {n}", "de": f"de {n}"}} for n in range(4)]
    folder = put(tmp_path / "d", "parquet", {"train": records, "test": records[:1]})
    found = rows(
        folder,
        columns={"de": "translation.de", "en": "translation.en"},
        splits={"valid": None},
        split={"valid": 0.25},
    )
    assert found == [
        *((("train", (f"de {n}", f"en {n}"))) for n in range(3)),
        ("valid", ("de 3", "en 3")),
        ("test", ("de 0", "en 0")),
    ]


@pytest.mark.parametrize(
    ("records", "given", "message"),
    [
        (texts("a"), {"columns": ["txt"]}, "train row 1: no column 'txt'; did you mean 'text'"),
        ([{"text": "a"}, {"text": None}], {}, "train row 2: column 'text' is null"),
        ([{"text": 1}], {}, "train row 1: column 'text' is int 1"),
        (texts("a"), {"splits": {"train": "trian"}}, "no split 'trian'; did you mean 'train'"),
    ],
)
def test_bad_data_is_told(tmp_path: Path, records: list[dict[str, Any]], given: dict[str, Any], message: str) -> None:
    folder = put(tmp_path / "d", "parquet", {"train": records, "validation": texts("c"), "test": texts("d")})
    with pytest.raises(UserError, match=message):
        rows(folder, **given)


def test_a_data_set_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        rows(tmp_path / "nothing")


def test_code_of_a_data_set_never_runs(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "d.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(UserError):
        rows(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"revision": "main"}, "revision"),
        ({"revision": COMMIT[:7]}, "revision"),
        ({"columns": []}, "columns"),
        ({"columns": ["a", "a"]}, "columns must be named, each once"),
        ({"split": {"valid": 0.1}}, "valid has both"),
        ({"splits": {"valid": None}}, "valid has neither"),
        ({"trust_remote_code": True}, "trust_remote_code"),
    ],
)
def test_bad_settings_are_refused(given: dict[str, Any], message: str) -> None:
    good = {"source": "hub", "path": "p", "dataset": "a/b", "revision": COMMIT}
    with pytest.raises(ValidationError, match=message):
        CorpusSettings(**(good | given))
