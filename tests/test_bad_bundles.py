"""Bundles from elsewhere: what is in them is looked at before it is used, and what is not right is told by its file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import image_dataset, pair_dataset, text_dataset
from safetensors.torch import load_file, save_file

from unroll.errors import UserError
from unroll.kinds import load_model
from unroll.params import CaptionerRun, LanguageModelRun, NgramRun, Seq2SeqRun
from unroll.training.run import train_run

CPU = torch.device("cpu")
SIZES = {"embedding": 4, "hidden": 8}
STEPS = {"lr": 0.01, "steps": 2}
TEXTS = ["the cat sat on the mat", "a dog ran", "the dog sat, too"] * 2
UNITS: dict[str, dict[str, Any]] = {
    "char": {"unit": "char"},
    "word": {"unit": "word"},
    "subword": {"unit": "subword", "max_size": 300},
    "syllable": {"unit": "syllable", "max_words": 5, "max_syllables": 5, "language": "en_US"},
    "hybrid": {"unit": "hybrid", "max_words": 4},
}
KINDS = ["3gram", "translator", "captioner"]


def trained(folder: Path, name: str) -> Path:
    """The bundle of a small run over a unit, or of another kind."""
    place = folder / f"data-{name}"
    kind: Any = LanguageModelRun
    model: dict[str, Any] = {"kind": "language_model", "cell": "lstm", **SIZES}
    train: dict[str, Any] = {"context": "text", "batch_size": 2, **STEPS}
    evaluate: dict[str, Any] = {}
    if name == "translator":
        data = pair_dataset(place, [("a b c", "c b a"), ("b a", "a b")] * 3)
        kind, model, evaluate = Seq2SeqRun, {"kind": "seq2seq", "cell": "gru", **SIZES}, {"metric": "bleu", "beam": 2}
        train = {"batch_size": 4, **STEPS}
    elif name == "captioner":
        data = image_dataset(place)
        kind, train = CaptionerRun, {"batch_size": 4, **STEPS}
        model = {"kind": "captioner", "cell": "gru", "image": "attention", "channels": [4, 4], **SIZES}
    elif name == "3gram":
        data = text_dataset(place, TEXTS, {"unit": "char"})
        kind, model, train = NgramRun, {"kind": "ngram", "order": 3}, {"context": "text"}
    else:
        data = text_dataset(place, TEXTS, UNITS[name])
        if name == "hybrid":
            model["spelling"] = {"embedding": 4, "hidden": 4}
    stated = {"dataset": "d", "init": "scratch", "model": model, "train": train, "evaluate": evaluate, "seed": 1}
    bundle, results = folder / "models" / name, folder / "results" / name
    run = kind.model_validate(stated)
    train_run(name, run, data, place / "vocab", bundle, [], CPU, bundle, results, folder / "checkpoints")
    return bundle


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return {name: trained(folder, name) for name in [*UNITS, *KINDS]}


def copied(bundle: Path, folder: Path) -> Path:
    """A copy without checksums, as somebody would give it away who means harm."""
    shutil.copytree(bundle, folder)
    for sums in list(folder.rglob("SHA256SUMS")):
        sums.unlink()
    return folder


def put(value: Any, *path: str) -> Callable[[Any], Any]:
    """Sets a value in nested dictionaries."""

    def change(data: Any) -> Any:
        place = data
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value
        return data

    return change


def without(*path: str) -> Callable[[Any], Any]:
    def change(data: Any) -> Any:
        place = data
        for part in path[:-1]:
            place = place[part]
        del place[path[-1]]
        return data

    return change


INFO, INDEX, TEXT = "bundle.json", "vocab/vocabularies.json", "vocab/text.json"


@pytest.mark.parametrize(
    ("name", "file", "change", "told"),
    [
        ("char", INFO, lambda _: [], "the file: should be a"),
        ("char", INFO, without("kind"), "kind: is missing"),
        ("char", INFO, put("os", "kind"), "kind: should be 'language_model', 'seq2seq', 'captioner' or 'ngram'"),
        ("char", INFO, put("ngram", "kind"), "weights.safetensors: should have keys, log10p, backoff of each order"),
        ("char", INFO, put(None, "settings"), "settings: should be a"),
        ("char", INFO, put([], "settings", "model"), "settings.model: should be a dictionary"),
        ("char", INFO, put("lstn", "settings", "model", "cell"), "cell: should be"),
        ("char", INFO, put(65536, "settings", "model", "hidden"), "weights do not fit the model"),
        (
            "char",
            INFO,
            put({"embedding": 4, "hidden": 4}, "settings", "model", "spelling"),
            "settings.model.spelling goes with a vocabulary of unit hybrid",
        ),
        ("hybrid", INFO, put(None, "settings", "model", "spelling"), "settings.model.spelling goes with a vocabulary"),
        ("char", INFO, put(65536, "settings", "model", "embedding"), "weights do not fit the model"),
        ("char", INFO, put(100, "settings", "model", "layers"), "weights do not fit the model"),
        ("char", INFO, put(None, "settings", "train", "context"), "settings.train.context: is missing"),
        ("char", INFO, put(-1, "max_length"), "max_length: should be greater than or equal to 1"),
        (
            "char",
            INFO,
            put({"source": {"unit": "char", "size": 3}}, "fields"),
            "fields: should have text; found source",
        ),
        ("translator", INFO, put("x", "settings", "evaluate", "metric"), "should be bleu or rouge"),
        ("translator", INFO, put({"a": 1}, "max_length"), "max_length: should be an integer"),
        ("captioner", INFO, without("images"), "images: is missing"),
        ("captioner", INFO, put([25, 24, 3], "images", "shape"), "`shape` should be [EDGE, EDGE, 3] of pixels"),
        ("captioner", INFO, put([26, 26, 3], "images", "shape"), "2 blocks of settings.model.channels do not halve"),
        ("captioner", INFO, without("settings", "model", "channels"), "0 blocks of settings.model.channels do not"),
        ("captioner", INFO, put({"unit": "features", "shape": [2, 3]}, "images"), "do not halve images of features"),
        ("char", INDEX, put("x" * 300, "fields", "text"), "fields.text: "),
        ("char", INDEX, lambda _: {}, "fields: is missing"),
        ("char", INDEX, put("../../bundle", "fields", "text"), "fields.text: "),
        ("char", INDEX, put("none", "fields", "text"), "vocab/none.json: there is no such file"),
        ("translator", INDEX, without("fields", "target"), "names no vocabulary for the field 'target'"),
        ("char", TEXT, lambda _: [1], "should have a `unit`, one of char, word"),
        ("char", TEXT, put("morse", "unit"), "should have a `unit`, one of char, word"),
        ("char", TEXT, put("word", "unit"), "spelling: is missing; settings: is missing"),
        ("char", TEXT, put(["a"], "tokens"), "`tokens` should begin with <pad>, <unk>, <s>, </s>"),
        ("char", TEXT, put(["<pad>", "<unk>", "<s>", "</s>", "ab"], "tokens"), "`tokens` should be characters"),
        ("char", TEXT, put(["<pad>", "<unk>", "<s>", "</s>", "a", "a"], "tokens"), "should hold each token once"),
        ("char", TEXT, put(["<pad>", "<unk>", "<s>", "</s>", 7], "tokens"), "tokens.4: should be a string, found 7"),
        ("char", TEXT, put(["<pad>", "<unk>", "<s>", "</s>", "\ud800"], "tokens"), "`tokens` should be valid Unicode"),
        ("char", TEXT, put(["<pad>", "<unk>", "<s>", "</s>", "a"], "tokens"), "weights do not fit the model"),
        ("word", TEXT, put("bpe", "settings", "tokenizer"), "settings.tokenizer: should be 'joiner' or 'whitespace'"),
        ("word", TEXT, put([None], "spelling"), "spelling.0: should be a string"),
        ("syllable", TEXT, put("xx_YY", "language"), "there is no hyphenation dictionary 'xx_YY'"),
        ("hybrid", TEXT, put(["ab"], "characters"), "characters.0: "),
        ("hybrid", TEXT, put(["\ud800"], "characters"), "characters.0: "),
    ],
)
def test_json_that_was_changed_is_told_by_its_file(tmp_path, bundles, name, file, change, told):
    folder = copied(bundles[name], tmp_path / "bundle")
    (folder / file).write_text(json.dumps(change(json.loads((folder / file).read_text()))))
    with pytest.raises(UserError) as caught:
        load_model(folder, CPU)
    (line,) = caught.value.problems
    assert line.startswith(f"{folder}/") and told in line, line


def changed(weights: dict[str, torch.Tensor], name: str, value: Any) -> dict[str, torch.Tensor]:
    value = value(weights[name]) if callable(value) else value
    return {key: tensor.contiguous() for key, tensor in {**weights, name: value}.items() if tensor is not None}


@pytest.mark.parametrize(
    ("name", "tensor", "value", "told"),
    [
        ("char", "embedding.weight", None, "weights do not fit the model: embedding.weight"),
        ("char", "extra", torch.ones(1), "weights do not fit the model: extra"),
        ("char", "embedding.weight", torch.ones(4, 3), "embedding.weight is (4, 3), torch.float32, where the model"),
        ("char", "embedding.weight", lambda there: there.long(), "torch.int64, where the model has"),
        ("char", "embedding.weight", lambda there: there * np.nan, "embedding.weight has weights that are no numbers"),
        ("3gram", "2.keys", None, "should have keys, log10p, backoff of each order"),
        ("3gram", "1.keys", torch.ones(3), "the arrays of order 1 are of other types"),
        ("3gram", "2.keys", torch.tensor([5, 4]), "the arrays of order 2 are not as long as"),
        ("3gram", "1.log10p", lambda there: there * np.nan, "order 1 has probabilities that are none"),
        ("3gram", "1.log10p", lambda there: -there, "order 1 has probabilities that are none"),
        ("3gram", "2.keys", lambda there: there.flip(0), "the n-grams of order 2 are not those of"),
        ("3gram", "1.keys", lambda there: there + 1, "the n-grams of order 1 are not those of"),
    ],
)
def test_weights_that_were_changed_are_told_by_their_name(tmp_path, bundles, name, tensor, value, told):
    folder = copied(bundles[name], tmp_path / "bundle")
    path = folder / "weights.safetensors"
    save_file(changed(load_file(path), tensor, value), path)
    with pytest.raises(UserError) as caught:
        load_model(folder, CPU)
    assert str(caught.value).startswith(f"{path}: ") and told in str(caught.value)


@pytest.mark.parametrize("part", ["vocab/text.model", "vocab/text.json"])
def test_a_part_of_a_vocabulary_that_is_gone_is_told(tmp_path, bundles, part):
    folder = copied(bundles["subword"], tmp_path / "bundle")
    (folder / part).unlink()
    with pytest.raises(UserError, match=rf"^{folder}/{part}: "):
        load_model(folder, CPU)


def test_a_subword_model_of_other_special_pieces_is_told(tmp_path, bundles):
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=model, vocab_size=40, hard_vocab_limit=False, minloglevel=2
    )
    folder = copied(bundles["subword"], tmp_path / "bundle")
    (folder / "vocab" / "text.model").write_bytes(model.getvalue())
    with pytest.raises(UserError, match=r"vocab/text\.model: no SentencePiece model"):
        load_model(folder, CPU)
