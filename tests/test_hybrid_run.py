"""A run over the unit `hybrid`, from raw text to measures and samples."""

import json

import pytest
import torch
from builders import text_dataset

from unroll.evaluation.evaluate import evaluate_run
from unroll.evaluation.language_model import measure
from unroll.evaluation.settings import LanguageModelEvaluation
from unroll.files import read_json, sha256
from unroll.kinds import load_model
from unroll.params import LanguageModelRun
from unroll.training.run import train_run

CPU = torch.device("cpu")
ENDINGS = ["ing", "ed", "er", "ation"]
TEXTS = [f"the {a}{b}{e} of the {b}{a}{e}." for a in ("lor", "mip", "sut") for b in ("ka", "ne") for e in ENDINGS]
UNIT = {"unit": "hybrid", "max_words": 5}


def run(init="scratch", model=None, **train) -> LanguageModelRun:
    stated = {"kind": "language_model", "cell": "lstm", "embedding": 8, "hidden": 16}
    return LanguageModelRun.model_validate(
        {
            "dataset": "tiny",
            "init": init,
            "model": {**stated, "spelling": {"embedding": 8, "hidden": 24}, **(model or {})},
            "train": {"context": "text", "batch_size": 8, "lr": 0.02, "steps": 3, **train},
            "evaluate": {},
            "seed": 1,
        }
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return text_dataset(tmp_path_factory.mktemp("texts"), TEXTS, UNIT)


def train(data, folder, name="run", settings=None):
    """Train a run and load what it left."""
    settings = settings or run()
    bundles, results = folder / "models", folder / "results" / name
    results.mkdir(parents=True, exist_ok=True)
    vocabularies = data.folder.parent / "vocab"
    start = bundles / settings.init
    train_run(name, settings, data, vocabularies, start, [], CPU, bundles / name, results, folder / "checkpoints")
    return load_model(bundles / name, CPU)


@pytest.mark.parametrize("batches", [{}, {"context": "stream", "bptt": 7, "batch_size": 3}])
def test_training_learns_words_and_their_spelling(data, tmp_path, batches):
    model = train(data, tmp_path, settings=run(steps=150, **batches))
    info = read_json(tmp_path / "models" / "run" / "bundle.json")
    assert info["best"]["valid_loss"] < 5
    test, _ = measure(model, data.raw_texts("test", "text"))
    assert (test["oov_rate"], test["unknown_nats"]) == (0, 0)
    assert test["bits_per_char"] < 1.5  # an untrained one has about 5
    if not batches:  # single texts are validated as they are scored
        assert test["nll_nats"] / test["tokens"] == pytest.approx(info["best"]["valid_loss"], rel=1e-5)
    misspelt, spelt = (measure(model, [f"the {word} of"])[0]["nll_nats"] for word in ("gnieakl", "lorneing"))
    assert misspelt > spelt + 5


def test_evaluation_writes_measures_and_samples_without_unknown_words(data, tmp_path):
    model = train(data, tmp_path, settings=run(steps=100))
    results, history = tmp_path / "results" / "run", tmp_path / "results" / "run" / "history.csv"
    settings = LanguageModelEvaluation(samples=3, sample_tokens=20, prompts=["", "the lormip\u03a9"])
    evaluate_run(model, data, settings, [tmp_path / "models" / "run"], history, results, tmp_path / "predictions")
    metrics = json.loads((results / "metrics.json").read_text())["test"]
    assert metrics["unit"] == "hybrid"
    assert 0 < metrics["bits_per_char"] < 4
    page = (results / "samples.md").read_text(encoding="utf-8")
    assert "<unk>" not in page
    assert page.count("lormip\u03a9") >= 2  # the prompt comes back, its unknown character too


def test_the_same_seed_gives_the_same_bits(data, tmp_path):
    settings = run(steps=20, model={"dropout": {"words": 0.2, "output": 0.1}})
    hashes = set()
    for name in ("one", "two"):
        train(data, tmp_path, name, settings)
        hashes.add(sha256(tmp_path / "models" / name / "weights.safetensors"))
    assert len(hashes) == 1


def test_a_warm_start_takes_the_spelling_too(data, tmp_path):
    first = train(data, tmp_path, "first", run(steps=5)).network
    second = train(data, tmp_path, "second", run("first", steps=1, lr=1e-12)).network
    for name, weight in first.named_parameters():
        torch.testing.assert_close(second.get_parameter(name), weight, rtol=0, atol=1e-9)


def test_vectors_are_those_of_words(data, tmp_path):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("the" + " 1" * 8 + "\nlorkaing" + " 2" * 8 + "\n")
    stated = {"path": str(vectors), "sha256": sha256(vectors)}
    model = train(data, tmp_path, settings=run(steps=1, lr=1e-12, model={"vectors": stated, "tied": True}))
    (the,) = model.vocabulary.encode("the")
    torch.testing.assert_close(model.network.embedding.weight[the].detach(), torch.ones(8))
    assert model.network.output.weight is model.network.embedding.weight
    assert len(model.network.embedding.weight) == len(model.vocabulary)


def test_all_spelled_or_none_spelled_trains(tmp_path):
    for name, unit in (("all", UNIT | {"max_words": 0}), ("none", UNIT | {"max_words": 99})):
        texts = ["the cat sat", "the cat sat"]
        data = text_dataset(tmp_path / name, texts, unit)
        (score, _) = train(data, tmp_path / name, settings=run(steps=2)).score(texts)
        assert score.tokens == 4
        assert score.nats > 0
