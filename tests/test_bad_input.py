"""Bad input: each is told by its place with exit code 2, or does what docs/input.md says."""

import math
import re
import runpy
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from builders import pair_dataset, text_dataset
from ruamel.yaml import YAML
from test_training import Unigram

from unroll.checksums import SUMS
from unroll.cli import app
from unroll.errors import UserError, run
from unroll.evaluation.language_model import measure
from unroll.files import sha256
from unroll.kinds.ngram.predictor import NgramPredictor, model_of
from unroll.kinds.ngram.settings import NgramSettings, NgramTraining
from unroll.kinds.ngram.task import Task
from unroll.nn.vectors import VectorSettings, put_vectors
from unroll.params import load
from unroll.text.encoded import EncodedDataset
from unroll.training import loop
from unroll.training.checkpoints import Checkpoints
from unroll.training.settings import TrainSettings

ROOT = Path(__file__).parent.parent
UNITS: dict[str, dict[str, Any]] = {
    "char": {"unit": "char"},
    "word": {"unit": "word"},
    "subword": {"unit": "subword", "max_size": 300},
    "syllable": {"unit": "syllable", "max_words": 5, "max_syllables": 5, "language": "en_US"},
}
SPLIT = {"valid": 0.1, "test": 0.1}
LM = {"kind": "language_model", "cell": "elman", "embedding": 4, "hidden": 8, "activation": "relu"}
TRAIN = {"context": "stream", "bptt": 4, "batch_size": 2, "lr": 0.1, "steps": 20, "validate_every": 2}


@pytest.fixture
def stage(tmp_path, monkeypatch, capsys):
    """Runs a stage's script in a folder with its own params.yaml; returns its exit code and what stderr got."""
    monkeypatch.chdir(tmp_path)

    def call(name: str, params: dict[str, Any], *arguments: str) -> tuple[int, str]:
        with Path("params.yaml").open("w") as file:
            YAML().dump({"corpora": {}, "datasets": {}, "runs": {}, "combinations": {}} | params, file)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(ROOT / "pipeline" / f"{name}.py"), run_name="__main__")
        return int(left.value.code or 0), capsys.readouterr().err

    return call


def files(**given: Any) -> dict[str, Any]:
    return {"corpora": {"mine": {"source": "files", "path": "x.txt", "split": SPLIT} | given}}


@pytest.mark.parametrize(
    ("content", "given", "told"),
    [
        (b"", {}, ["split 'train' has no rows", "split 'valid' has no rows", "split 'test' has no rows"]),
        (b"\n \n\t\n", {}, ["split 'train' has no rows"]),
        (b" \n", {"strip": True}, ["split 'train' has no rows"]),
        (b"one line\n", {}, ["split 'valid' has no rows; each of train, valid, test needs text"]),
        (b"good\nbad \xff\n" * 20, {}, ["x.txt: byte 9 (0xff) is not UTF-8; save the file as UTF-8"]),
    ],
    ids=["empty", "blank", "stripped to nothing", "one line", "no UTF-8"],
)
def test_a_corpus_that_is_none_is_told_and_nothing_is_written(stage, content, given, told):
    Path("x.txt").write_bytes(content)
    code, error = stage("fetch", files(**given), "mine", "--out", "raw")
    assert code == 2
    assert all(line.startswith("error: corpora.mine: ") for line in error.splitlines())
    assert all(words in error for words in told)
    assert sorted(path.name for path in Path().iterdir()) == ["params.yaml", "x.txt"]


def test_a_corpus_of_one_line_is_enough_by_character(stage):
    Path("x.txt").write_text("abcdefghijklmnopqrs\n")
    assert stage("fetch", files(split={**SPLIT, "by": "character"}), "mine", "--out", "raw") == (0, "")
    assert [pq.read_table(f"raw/{name}.parquet")["text"].to_pylist() for name in ("train", "valid", "test")] == [
        ["abcdefghijklmnop"],
        ["qr"],
        ["s"],
    ]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("text", ["a", "x" * 3000, "漢字" * 50, "\t", "\u2581￭\x00"], ids=lambda text: f"{text[:2]!r}")
def test_one_text_without_a_space_is_learned_and_comes_back(tmp_path, unit, text):
    data = text_dataset(tmp_path, [text + "." if text.isspace() else text], UNITS[unit])
    vocabulary = data.vocabularies["text"]
    [text] = data.raw_texts("train", "text")
    assert vocabulary.decode(vocabulary.encode(text)) == text
    *_, stage = Task(NgramSettings(kind="ngram", order=3), NgramTraining(), data, torch.device("cpu")).stages()
    assert np.isfinite(stage.valid_loss)


@pytest.mark.parametrize(
    ("file", "values", "told"),
    [
        (
            "train/text.npy",
            {3: 9},
            "train/text.npy: id 9 at place 3, where the vocabulary has 8 ids; the file is damaged",
        ),
        ("valid/text.npy", {0: 65535}, "valid/text.npy: id 65535 at place 0, where the vocabulary has 8 ids"),
        ("train/text.offsets.npy", {1: 40}, "train/text.offsets.npy: its rows are not those of 10 ids"),
        ("train/text.offsets.npy", {2: 9}, "train/text.offsets.npy: its rows are not those of 10 ids"),
        ("train/text.lengths.npy", {0: 40}, "train/text.lengths.npy: its lengths are not those of 2 rows"),
        ("train/text.lengths.npy", {1: 0}, "train/text.lengths.npy: its lengths are not those of 2 rows"),
    ],
)
def test_encoded_files_with_wrong_numbers_are_named(tmp_path, file, values, told):
    text_dataset(tmp_path, ["abcd", "dcba"], {"unit": "char"})
    path = tmp_path / "encoded" / file
    array = np.load(path)
    for place, value in values.items():
        array[place] = value
    np.save(path, array)
    (tmp_path / "encoded" / SUMS).unlink()
    with pytest.raises(UserError) as caught:
        EncodedDataset.open(tmp_path / "encoded")
    assert told in str(caught.value)
    assert str(caught.value).endswith("remove it, and dvc repro makes it again")


@pytest.mark.parametrize("size", [0, 60, 130], ids=["empty", "half a head", "cut"])
@pytest.mark.parametrize("name", ["text", "text.offsets", "text.lengths"])
def test_encoded_files_that_are_cut_or_missing_are_named(tmp_path, size, name):
    text_dataset(tmp_path, ["abcd", "dcba"], {"unit": "char"})
    path = tmp_path / "encoded" / "valid" / f"{name}.npy"
    path.write_bytes(path.read_bytes()[:size])
    (tmp_path / "encoded" / SUMS).unlink()
    with pytest.raises(UserError, match=rf"valid/{name}\.npy: .*; the file is damaged"):
        EncodedDataset.open(tmp_path / "encoded")
    path.unlink()
    with pytest.raises(UserError, match=rf"valid/{name}\.npy: there is no such file; the file is damaged"):
        EncodedDataset.open(tmp_path / "encoded")


def nested(first: str, entry: str, levels: int) -> str:
    """Aliases of aliases: each level has nine times as many values as the one before."""
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} {entry.format(', '.join([f'*a{n - 1}'] * 9))}" for n in range(1, levels)]
    return "\n".join([*lines, f"corpora: *a{levels - 1}\n"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (nested("[x, x]", "[{}]", 12), r"its aliases stand for \d+,[\d,]+ values, where 100,000 are the most"),
        (nested("{x: 1, y: 2}", "{{<<: [{}]}}", 12), r"its aliases stand for \d+,[\d,]+ values, where 100,000"),
        ("corpora: &a {x: *a}\n", "corpora.x.source: is missing"),
        ("corpora: {}\ncorpora: {}\n", 'not valid YAML in line 2, column 1: found duplicate key "corpora"'),
        ("runs:\n  x: {seed: 1, seed: 2}\n", 'not valid YAML in line 2, column 16: found duplicate key "seed"'),
        ("corpora: " + "[" * 5_000, "not valid YAML"),
        ("corpora: " + "{a: " * 2_000 + "}" * 2_000, "not valid YAML: maximum recursion depth exceeded"),
        ("compute: {threads: " + "9" * 5_000 + "}", "not valid YAML: Exceeds the limit"),
        ("compute: {threads: 1e999}", "compute.threads: should be an integer, found inf"),
        ("compute: {threads: .nan}", "compute.threads: should be an integer, found nan"),
        ("compute: {threads: 99999999999999999999}", "compute.threads: "),
        ("compute: !!python/object/apply:os.system [touch x]", "could not determine a constructor for the tag"),
        ("compute: !!set {a, b}", "compute: should be a dictionary"),
        ("? [a, b]\n: 1\n", "the key should be text, found .'a', 'b'."),
    ],
    ids=lambda text: text[:20],
)
def test_yaml_that_means_harm_is_told(tmp_path, monkeypatch, text, told):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        load()
    assert re.search(told, str(caught.value))
    assert len(str(caught.value)) < 2_000
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_prompt_that_is_not_utf_8_is_told(monkeypatch, capsys):
    # What the command line makes of a byte that is no UTF-8.
    monkeypatch.setattr(sys, "argv", ["unroll", "generate", "any", "--prompt", "a\udcff"])
    with pytest.raises(SystemExit) as left:
        run(app)
    assert left.value.code == 2
    assert capsys.readouterr().err == "error: --prompt: is not UTF-8\n"


def test_parquet_that_is_not_utf_8_is_told_by_its_row(stage):
    array = pa.array([b"good", b"bad \xff", b"c"] * 9).view(pa.string())
    pq.write_table(pa.table({"text": array}), "x.parquet")
    code, error = stage("fetch", files(path="x.parquet"), "mine", "--out", "raw")
    assert code == 2
    assert "corpora.mine: x.parquet: a text behind row 0 is not UTF-8 at its byte 4 (0xff)" in error


def test_vectors_that_are_not_utf_8_are_told_by_their_place(tmp_path):
    (tmp_path / "v.txt").write_bytes(b"a 1 2\n\xff 3 4\n")
    stated = VectorSettings(path=str(tmp_path / "v.txt"), sha256=sha256(tmp_path / "v.txt"))
    with pytest.raises(UserError, match=r"v\.txt: byte 6, in line 2, is not UTF-8"):
        put_vectors(torch.zeros(3, 2), {"a": [0]}, stated)


def test_a_loss_that_is_no_number_leaves_no_output(stage):
    text_dataset(Path(), ["the cat sat on the mat", "a dog ran"] * 3, {"unit": "char"})
    dataset = {"corpus": "mine", "fields": {"text": {"unit": "char"}}, "max_length": 100}
    lm = {"dataset": "d", "init": "scratch", "model": LM, "evaluate": {}, "seed": 1}
    lm["train"] = TRAIN | {"optimizer": "sgd", "lr": 1e30}
    arguments = ["lm", "--data", "encoded", "--vocab", "vocab", "--init", "models/scratch", "--model", "models/lm"]
    arguments += ["--results", "results/lm", "--checkpoints", "checkpoints"]
    code, error = stage("train", files() | {"datasets": {"d": dataset}, "runs": {"lm": lm}}, *arguments)
    assert code == 2
    assert error.startswith("error: runs.lm.train: the ")
    assert " at step 2; a lower lr or a clip may help" in error
    assert not Path("models").exists() and not Path("results").exists()


class Poisoned(Unigram):
    """Whose loss, or the gradient of a loss that is a number, is none from the fifth update on."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def loss(self, batch, carry):
        loss, carry = super().loss(batch, carry)
        if self.network.training and len(self.carries) > 4:
            nothing = (self.network.bias - self.network.bias.detach()).sum()
            loss = loss._replace(nats=loss.nats + (math.nan if self.what == "loss" else nothing.sqrt()))
        return loss, carry


@pytest.mark.parametrize("device", ["cpu", "as a gpu"])
@pytest.mark.parametrize("what", ["loss", "gradient's norm"])
def test_the_last_checkpoint_is_of_weights_that_are_numbers(tmp_path, monkeypatch, what, device):
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    if device == "as a gpu":  # where no update looks at its own loss
        monkeypatch.setattr(loop.Trainer, "_look", lambda *_: None)
    settings, checkpoints = TrainSettings(lr=0.1, steps=300, validate_every=300), Checkpoints(tmp_path)
    trainer = loop.Trainer("r", Poisoned(what), settings, 1, torch.device("cpu"), checkpoints)
    with pytest.raises(UserError, match=rf"^runs\.r\.train: the (loss|{what}) is (nan|inf) at step 5;"):
        trainer.fit()
    state = checkpoints.load(torch.device("cpu"))
    assert state is not None and state["position"]["step"] == 4
    assert all(weight.isfinite().all() for weight in state["weights"].values())


@pytest.mark.parametrize("unit", UNITS)
def test_a_long_line_takes_memory_in_proportion(tmp_path, unit):
    """Vocabulary, encoding and scores of one text of a hundred thousand characters: less than 400 bytes a character."""
    random = np.random.default_rng(1)
    words = ["".join(random.choice(list("abcdefgh"), 6)) for _ in range(500)]
    line = " ".join(random.choice(words, 14_300))[:100_000]
    tracemalloc.start()
    data = text_dataset(tmp_path, [line], UNITS[unit])
    vocabulary = data.vocabularies["text"]
    *_, stage = Task(NgramSettings(kind="ngram", order=2), NgramTraining(), data, torch.device("cpu")).stages()
    model = NgramPredictor(model_of(stage.weights, len(vocabulary)), vocabulary, "text")
    found, _ = measure(model, data.raw_texts("test", "text"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["chars"] == 100_001
    assert peak < 400 * 100_000


def test_an_empty_pair_is_left_out_and_a_half_empty_one_stays(tmp_path):
    data = pair_dataset(tmp_path, [("a b", "b a"), ("", ""), ("", "a")])
    assert data.manifest["splits"]["train"]["rows"] == 2
    assert data.raw_texts("train", "source") == ["a b", ""]
