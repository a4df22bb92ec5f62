"""n-gram models in the project: from encoded data to a bundle, scores and generated text."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from builders import text_dataset

from unroll.kinds import load_model
from unroll.kinds.generation import Sampling
from unroll.kinds.ngram.predictor import NgramPredictor, model_of
from unroll.kinds.ngram.settings import NgramSettings, NgramTraining
from unroll.kinds.ngram.task import Task
from unroll.params import NgramRun
from unroll.text.specials import BOS, EOS, PAD, UNK
from unroll.training.run import train_run

CPU = torch.device("cpu")
TEXTS = ["abba", "a", "the cat sat", "on a mat\nand slept", "bb", "x" * 40, "the cat slept"]
CONTEXTS = ["text", "stream"]
RUN = NgramRun(dataset="tiny", init="scratch", model={"kind": "ngram", "order": 3}, train={}, evaluate={}, seed=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return text_dataset(tmp_path_factory.mktemp("texts"), TEXTS, {"unit": "char", "min_count": 2}, max_length=25)


def task(data, context="text", order=4):
    return Task(NgramSettings(kind="ngram", order=order), NgramTraining(context=context), data, CPU)


def predictor(data, context="text", order=4):
    vocabulary = data.vocabularies["text"]
    *_, stage = task(data, context, order).stages()
    return NgramPredictor(model_of(stage.weights, len(vocabulary)), vocabulary, context)


def train(name, data, vocabularies, folder):
    train_run(
        name, RUN, data, vocabularies, folder / "scratch", [], CPU, folder / "model", folder, folder / "checkpoints"
    )


@pytest.mark.parametrize("context", CONTEXTS)
def test_validation_is_what_the_scores_say(data, context):
    *_, stage = task(data, context).stages()
    scores = predictor(data, context).score(TEXTS)
    assert [score.tokens for score in scores] == [len(text) + 1 for text in TEXTS]
    assert stage.valid_loss == pytest.approx(sum(s.nats for s in scores) / sum(s.tokens for s in scores), rel=1e-12)


def test_single_texts_are_cut_for_training_and_a_stream_is_not(data):
    counted = {context: task(data, context).train.predicted for context in CONTEXTS}
    assert counted["stream"] == sum(len(text) + 1 for text in TEXTS)
    assert counted["text"] == counted["stream"] - 15  # of the 40 x and their end 26 are kept


def test_a_text_scores_the_same_alone_and_among_others(data):
    model = predictor(data)
    together = model.score(TEXTS)
    assert [model.score([text])[0] for text in TEXTS] == together
    assert model.score(TEXTS[::-1]) == together[::-1]
    assert model.score([]) == []
    assert math.isfinite(model.score(["never Seen ?"])[0].nats)


def test_in_a_stream_a_text_is_read_after_the_one_before_it(data):
    model = predictor(data, "stream")
    assert model.score(["a", "the cat sat"])[1].nats < model.score(["bb", "the cat sat"])[1].nats
    assert model.score(["a"])[0] == model.score(["a", "bb"])[0]


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("order", [1, 3])
def test_generation_depends_on_prompt_place_and_seed_alone_and_writes_no_specials(data, context, order):
    model = predictor(data, context, order)
    prompts = ["ab", "", *["ab"] * 8]
    texts = model.generate(prompts, max_tokens=60, sampling=Sampling(1.5), seed=3)
    assert all(text.startswith(prompt) for text, prompt in zip(texts, prompts, strict=True))
    assert len(set(texts[2:])) > 1
    assert model.generate(prompts[:3], max_tokens=60, sampling=Sampling(1.5), seed=3) == texts[:3]
    assert model.generate(prompts, max_tokens=60, sampling=Sampling(1.5), seed=4) != texts
    ids = [
        token
        for seed in range(100)
        for token in model.sample(np.array([UNK]), 50, Sampling(5.0), np.random.default_rng(seed))
    ]
    never = {PAD, UNK, BOS} | ({EOS} if context == "text" else set())
    assert set(ids) == set(range(len(model.vocabulary))) - never


def test_generated_tokens_follow_the_distribution(data):
    model = predictor(data, order=2)
    nothing = np.array([], dtype=np.int64)
    first = [next(model.sample(nothing, 1, Sampling(0.5), np.random.default_rng(seed)), EOS) for seed in range(2000)]
    p = 10 ** (2 * model.model.distribution(np.array([BOS])))
    p[UNK] = 0
    p /= p.sum()
    assert np.bincount(first, minlength=len(p)) / 2000 == pytest.approx(p, abs=0.05)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The run, trained twice."""
    folder = tmp_path_factory.mktemp("run")
    for name in ("once", "twice"):
        train("lm", data, data.folder.parent / "vocab", folder / name)
    return folder


def test_a_bundle_scores_as_the_model_that_it_holds(data, trained):
    loaded = load_model(trained / "once" / "model", CPU)
    assert loaded.context == "text"
    assert loaded.score(TEXTS) == predictor(data, order=3).score(TEXTS)


def test_costs_count_probabilities_and_backoffs(data, trained):
    cost = json.loads((trained / "once" / "model" / "bundle.json").read_text())["cost"]
    tables = load_model(trained / "once" / "model", CPU).model.tables
    assert cost["parameters"] == sum(len(t.log10p) + len(t.backoff) for t in tables)
    assert cost["parameters"] == 2 * sum(len(t.keys) for t in tables) - len(tables[-1].keys)
    assert cost["memory_bytes"] == 4 * cost["parameters"] + 8 * sum(len(t.keys) for t in tables)
    assert cost["steps"] == 3


def test_the_history_has_a_row_an_order(trained):
    with (trained / "once" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert [row["lr"] for row in rows] == [""] * 3
    losses = [float(row["train_loss"]) for row in rows]
    assert losses == sorted(losses, reverse=True)
    info = json.loads((trained / "once" / "model" / "bundle.json").read_text())
    assert info["best"] == {"step": 3, "valid_loss": pytest.approx(float(rows[2]["valid_loss"]))}
    with (trained / "once" / "timing.csv").open() as file:
        assert all(float(row["tokens_per_second"]) > 0 for row in csv.DictReader(file))


def test_the_same_text_gives_the_same_bytes(trained):
    for name in ("history.csv", "model/weights.safetensors", "model/bundle.json"):
        assert (trained / "once" / name).read_bytes() == (trained / "twice" / name).read_bytes()


def test_a_person_is_told_where_discounts_are_made_up(tmp_path, capsys):
    data = text_dataset(tmp_path, ["ab"], {"unit": "char"})
    train("lm", data, tmp_path / "vocab", tmp_path)
    assert "lm  the counts of 1-grams define no discounts; 0.5, 1.0, 1.5 are used" in capsys.readouterr().err
