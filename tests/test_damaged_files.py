"""Files that are damaged or not what they seem: told by their place, never by a traceback."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from builders import text_dataset
from test_bad_input import files, stage  # noqa: F401
from test_start import CPU, run

from unroll.cli import app
from unroll.errors import UserError
from unroll.errors import run as run_app
from unroll.evaluation.results import read_results
from unroll.kinds import load_model
from unroll.text.corpus import read_texts
from unroll.text.encoded import EncodedDataset
from unroll.text.encoding import encode_dataset
from unroll.text.settings import DatasetSettings
from unroll.text.sources.files import CorpusSettings, read
from unroll.text.sources.url.unpacking import unpack
from unroll.text.vocabulary import load_vocabularies
from unroll.training.run import train_run

SETTINGS = DatasetSettings.model_validate(
    {"corpus": "x", "fields": {"text": {"unit": "subword", "max_size": 300}}, "max_length": 100}
)
TEXTS = [f"text {n} of a few words, none of them new" for n in range(200)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[" * 100_000, "x.jsonl:3: bad JSON: a number has thousands of digits, or it is nested too deep"),
        ('{"text": ' * 100_000, "x.jsonl:3: bad JSON: a number has thousands of digits, or it is nested too deep"),
        ('{"text": ' + "9" * 5_000 + "}", "x.jsonl:3: bad JSON: a number has thousands of digits, or it is"),
        ('{"text": "a"', "x.jsonl:3: bad JSON at character 12"),
    ],
    ids=["nested lists", "nested objects", "digits", "cut"],
)
def test_json_beyond_all_measure_is_told_by_its_line(stage, line, told):  # noqa: F811
    Path("x.jsonl").write_text('{"text": "good"}\n' * 2 + line + "\n")
    code, error = stage("fetch", files(path="x.jsonl"), "mine", "--out", "raw")
    assert code == 2
    assert error.startswith(f"error: corpora.mine: {told}")
    assert len(error.splitlines()) == 1


def parquet(compression: str) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": TEXTS}), file, compression=compression)
    return file.getvalue()


def tar(kind: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{kind}") as archive:
        content = "\n".join(TEXTS).encode()
        entry = tarfile.TarInfo("x.txt")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def zipped(method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("x.txt", "\n".join(TEXTS))
    return file.getvalue()


PLAIN = {
    "txt": "\n".join(TEXTS).encode(),
    "jsonl": "\n".join(json.dumps({"text": text}) for text in TEXTS).encode(),
    "csv": "\n".join(["text", *(f'"{text}"' for text in TEXTS)]).encode(),
    "tsv": "\n".join(["text", *TEXTS]).encode(),
    "snappy.parquet": parquet("snappy"),
    "zstd.parquet": parquet("zstd"),
    "none.parquet": parquet("none"),
}
FILES = PLAIN | {f"{ending}.gz": gzip.compress(content) for ending, content in PLAIN.items()}
ARCHIVES = {
    "zip": zipped(zipfile.ZIP_DEFLATED),
    "lzma.zip": zipped(zipfile.ZIP_LZMA),
    "tar": tar(""),
    "tar.gz": tar("gz"),
    "tar.bz2": tar("bz2"),
    "tar.xz": tar("xz"),
    "gz": gzip.compress(PLAIN["txt"]),
}


def ways_to_damage(content: bytes, random: np.random.Generator) -> list[bytes]:
    """The content cut at several places, and with other bytes at several places."""
    found = [content[:end] for end in random.integers(0, len(content), 12)]
    for _ in range(40):
        other = bytearray(content)
        for place in random.integers(0, len(content), int(random.integers(1, 4))):
            other[place] = random.integers(256)
        found.append(bytes(other))
    return found


def all_told(read_it: Callable[[bytes], Any], content: bytes) -> int:
    """How many damages were noticed; nothing but `UserError` is raised."""
    told = 0
    for damage in ways_to_damage(content, np.random.default_rng(1)):
        try:
            read_it(damage)
        except UserError as error:
            told += 1
            assert all("bad." in line and line.isprintable() for line in error.problems)
    return told


@pytest.mark.parametrize("ending", FILES)
def test_a_damaged_file_is_told_or_read(tmp_path, ending):
    settings = CorpusSettings(source="files", path=str(tmp_path / f"bad.{ending}"), split={"valid": 0.1, "test": 0.1})

    def read_it(content: bytes) -> None:
        Path(settings.path).write_bytes(content)
        assert list(read(settings).rows) is not None

    read_it(FILES[ending])
    assert all_told(read_it, FILES[ending]) >= (5 if ending.endswith((".gz", "parquet", "jsonl")) else 0)


@pytest.mark.parametrize("ending", ARCHIVES)
def test_a_damaged_archive_is_told_or_unpacked(tmp_path, ending):
    places = iter(range(10_000))

    def unpack_it(content: bytes) -> None:
        archive, folder = tmp_path / f"bad.{ending}", tmp_path / str(next(places))
        archive.write_bytes(content)
        folder.mkdir()
        unpack(archive, archive.name, folder, 10_000_000)

    unpack_it(ARCHIVES[ending])
    assert all_told(unpack_it, ARCHIVES[ending]) >= 5


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A project's folder with a trained run of subwords."""
    folder = tmp_path_factory.mktemp("finished")
    data = text_dataset(folder, ["the cat sat on the mat", "a dog ran"] * 3, {"unit": "subword", "max_size": 300})
    places = (folder / "vocab", folder / "models" / "scratch", [], CPU, folder / "models" / "lm")
    train_run("lm", run(), data, *places, folder / "results" / "lm", folder / "checkpoints")
    (folder / "results" / "lm" / "metrics.json").write_text('{"test": {}, "cost": {"parameters": 1}}\n')
    return folder


@pytest.mark.parametrize("part", ["bundle.json", "weights.safetensors", "vocab/text.json", "vocab/text.model"])
@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_bundle_that_was_cut_is_told_by_its_part(finished, monkeypatch, capsys, part, share):
    path = finished / "models" / "lm" / part
    content = path.read_bytes()
    try:
        path.write_bytes(content[: int(share * len(content))])
        monkeypatch.chdir(finished)
        monkeypatch.setattr("sys.argv", ["unroll", "score", "lm"])
        with pytest.raises(SystemExit) as left:
            run_app(app)
    finally:
        path.write_bytes(content)
    error = capsys.readouterr().err
    assert left.value.code == 2
    assert error.startswith(f"error: models/lm/{part}: ")
    assert "damaged, these are not the bytes that were written" in error
    assert load_model(finished / "models" / "lm", torch.device("cpu"))


@pytest.mark.parametrize(
    ("part", "content"),
    [("metrics.json", '{"test": '), ("history.csv", "step,valid_loss\n1,2.5e-"), ("timing.csv", "a\n1,2\n")],
)
def test_results_that_were_cut_are_told(finished, part, content):
    path = finished / "results" / "lm" / part
    whole = path.read_text()
    path.write_text(content)
    try:
        with pytest.raises(UserError, match=rf"results/lm/{part}: .*; the file is damaged"):
            read_results(finished / "results" / "lm")
    finally:
        path.write_text(whole)
    assert read_results(finished / "results" / "lm")


READERS: dict[str, Callable[[Path], Any]] = {
    "models/lm": lambda folder: load_model(folder, CPU),
    "vocab": load_vocabularies,
    "encoded": EncodedDataset.open,
    "raw": lambda folder: encode_dataset("x", folder, folder.parent / "vocab", SETTINGS, folder.parent / "again"),
}


@pytest.mark.parametrize("place", READERS)
def test_one_flipped_bit_in_any_file_is_told_by_its_name(finished, place):
    folder = finished / place
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    assert len(paths) >= 3
    for path in paths:
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 4
        path.write_bytes(changed)
        with pytest.raises(UserError, match=f"{path}: damaged, these are not the bytes that were written"):
            READERS[place](folder)
        path.write_bytes(whole)
    READERS[place](folder)


def test_parquet_that_was_damaged_is_told(finished):
    path = finished / "raw" / "test.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    with pytest.raises(UserError, match=r"test.parquet: no valid Parquet file, or a damaged one"):
        list(read_texts(finished / "raw", "test", "text"))
    path.write_bytes(whole)
    assert len(list(read_texts(finished / "raw", "test", "text"))) == 6
