"""Small texts of our own in place of published ones: files of the same names and formats, where presets look."""

import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from ruamel.yaml import YAML

SPLITS = ("train", "valid", "test")
ROWS = {"train": 120, "valid": 12, "test": 12}
WORDS = ("a", "network", "reads", "sentence", "writes", "short", "one", "of", "them", "again")


def text(split: str, column: str, number: int) -> str:
    """A text of a few words, another one for each split, column and number."""
    words = (WORDS[number // 10**place % 10] for place in range(3))
    return f"{column} {split} {number} : {' '.join(words)} ."


def texts(split: str, column: str) -> list[str]:
    """All texts of a column of a split."""
    return [text(split, column, number) for number in range(ROWS[split])]


def put(params: dict[str, Any], folder: Path) -> None:
    """Write all that the corpora of `params` read to `folder`, and the downloads that they would make below
    `folder/cache`; `params` change in the checksums of the latter, and in where a data set of the hub lies."""
    for name, corpus in params["corpora"].items():
        match corpus["source"]:
            case "files":
                _put_files(corpus, folder / corpus["path"])
            case "url":
                _put_downloads(corpus, folder / "cache" / "downloads")
            case "hub":
                corpus["dataset"] = str(folder / "hub" / name)
                _put_data_set(corpus, folder / "hub" / name)
            case "images":
                _put_images(corpus, folder / corpus["path"])
            case "scenes":
                corpus["scenes"] = ROWS["train"]


def _put_files(corpus: Mapping[str, Any], path: Path) -> None:
    if "train" not in corpus:
        _write(path, _content(corpus, path.name, (texts("train", column) for column in _columns(corpus))))
    for name, content in _named(corpus).items():
        _write(path / name.replace("*", "0"), content)


def _put_images(corpus: Mapping[str, Any], path: Path) -> None:
    """A few images of noise a split, each with five captions, and one caption without an image."""
    dice = np.random.default_rng(1)
    captions = ["none.jpg.1#0\tnothing"]
    for split in SPLITS:
        names = [f"{split}_{n}.jpg" for n in range(ROWS["test"])]
        for n, name in enumerate(names):
            file = io.BytesIO()
            Image.fromarray(dice.integers(0, 255, (90, 120, 3), dtype=np.uint8)).save(file, format="JPEG")
            _write(path / corpus["files"] / name, file.getvalue())
            captions += [f"{name}#{k}\t{text(split, 'captions', 5 * (n % 4) + k)}" for k in range(5)]
        _write(path / corpus[split], "".join(f"{name}\n" for name in names).encode())
    _write(path / corpus["captions"], "\n".join(captions).encode())


def _put_downloads(corpus: dict[str, Any], folder: Path) -> None:
    contents = _named(corpus)
    assert {name.removesuffix(".gz") for name in corpus["urls"]} == contents.keys(), "not the files that are read"
    for name, download in corpus["urls"].items():
        content = contents[name.removesuffix(".gz")]
        whole = gzip.compress(content) if name.endswith(".gz") else content
        download["sha256"] = hashlib.sha256(whole).hexdigest()
        _write(folder / download["sha256"], whole)


def _put_data_set(corpus: Mapping[str, Any], folder: Path) -> None:
    """A data set as the hub has it: a folder of Parquet files for the configuration, and the card that says so."""
    theirs = {"train": "train", "valid": "validation", "test": "test"} | corpus.get("splits", {})
    config = corpus.get("config", "default")
    for split in SPLITS:
        name = f"{config}/{theirs[split]}-00000-of-00001.parquet"
        _write(folder / name, _content(corpus, name, (texts(split, column) for column in _columns(corpus))))
    files = [{"split": theirs[split], "path": f"{config}/{theirs[split]}-*"} for split in SPLITS]
    with (folder / "README.md").open("w") as card:
        card.write("---\n")
        YAML(typ="safe").dump({"configs": [{"config_name": config, "data_files": files}]}, card)
        card.write("---\n")


def _nested(record: Mapping[str, str]) -> dict[str, Any]:
    """`{"a.b": text}` as `{"a": {"b": text}}`."""
    nested: dict[str, Any] = {}
    for name, value in record.items():
        *parents, last = name.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return nested


def _columns(corpus: Mapping[str, Any]) -> dict[str, str]:
    """The columns by our names, with the data set's own."""
    columns = corpus.get("columns", ["text"])
    return dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}


def _named(corpus: Mapping[str, Any]) -> dict[str, bytes]:
    """The content of each file that `train`, `valid` and `test` name."""
    found = {}
    for split in SPLITS:
        files = corpus.get(split, {})
        if isinstance(files, str):
            found[files] = _content(corpus, files, (texts(split, column) for column in _columns(corpus)))
        else:
            found |= {name: _content(corpus, name, [texts(split, column)]) for column, name in files.items()}
    return found


def _content(corpus: Mapping[str, Any], name: str, columns: Iterable[list[str]]) -> bytes:
    """A file called `name` that holds `columns`, in the order of the corpus."""
    rows = list(zip(*columns, strict=True))
    records = [dict(zip(_columns(corpus).values(), row, strict=False)) for row in rows]
    if name.endswith(".parquet"):
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(list(map(_nested, records))), file)
        return file.getvalue()
    lines = map(json.dumps, records) if ".jsonl" in name else (line for (line,) in rows)
    content = "".join(f"{line}\n" for line in lines).encode()
    return gzip.compress(content) if name.endswith(".gz") else content


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
