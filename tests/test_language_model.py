"""Recurrent language models: a text costs the same in any company and under any padding."""

import math

import numpy as np
import pytest
import torch
from builders import text_dataset

from unroll.kinds.generation import Sampling
from unroll.kinds.language_model import predictor as predictor_module
from unroll.kinds.language_model.network import LanguageModel
from unroll.kinds.language_model.predictor import LanguageModelPredictor
from unroll.kinds.language_model.settings import LanguageModelBatches, LanguageModelSettings
from unroll.kinds.language_model.task import Task
from unroll.text.specials import EOS

CPU = torch.device("cpu")
TEXTS = ["abba", "a", "the cat sat", "", "on a mat\nand slept", "bb", "x" * 40]
CELLS = ["elman", "gru", "lstm"]


def settings(cell="lstm", **more):
    return LanguageModelSettings(kind="language_model", cell=cell, embedding=5, hidden=8, layers=2, **more)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    texts = [text for text in TEXTS if text]
    return text_dataset(tmp_path_factory.mktemp("texts"), texts, {"unit": "char"})


@pytest.fixture(scope="module")
def vocabulary(data):
    return data.vocabularies["text"]


@pytest.fixture
def network(vocabulary):
    torch.manual_seed(1)
    return LanguageModel(settings(), len(vocabulary)).double()


def task_losses(task):
    carry, nats, tokens = None, 0.0, 0
    for batch in task.batches(np.random.default_rng(1)):
        loss, carry = task.loss(batch, carry)
        nats += loss.nats.item()
        tokens += loss.tokens
    return nats, tokens


def task_gradient(task):
    for batch in task.batches(np.random.default_rng(1)):
        task.loss(batch, None)[0].nats.backward()
    gradient = torch.cat([p.grad.flatten() for p in task.network.parameters()])
    task.network.zero_grad()
    return gradient


@pytest.mark.parametrize("cell", CELLS)
def test_masked_and_packed_training_agree_in_loss_and_gradient(data, cell):
    tasks = []
    for padding in ("mask", "pack"):
        torch.manual_seed(1)
        task = Task(settings(cell), LanguageModelBatches(context="text", batch_size=4, padding=padding), data, CPU)
        task.network.double()
        tasks.append(task)
    masked, packed = (task_losses(task) for task in tasks)
    assert masked[1] == packed[1] == sum(len(text) + 1 for text in TEXTS if text)
    assert masked[0] == pytest.approx(packed[0], rel=1e-12)
    torch.testing.assert_close(task_gradient(tasks[0]), task_gradient(tasks[1]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("padding", ["mask", "pack"])
def test_the_batch_size_changes_no_loss_and_no_gradient(data, padding):
    results = []
    for size in (1, 3, 100):
        torch.manual_seed(1)
        task = Task(settings(), LanguageModelBatches(context="text", batch_size=size, padding=padding), data, CPU)
        task.network.double()
        results.append((*task_losses(task), task_gradient(task)))
    for nats, tokens, gradient in results[1:]:
        assert tokens == results[0][1]
        assert nats == pytest.approx(results[0][0], rel=1e-12)
        torch.testing.assert_close(gradient, results[0][2], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bptt", [1, 5, 1000])
def test_a_stream_carries_its_state_whatever_the_segments(data, vocabulary, bptt):
    torch.manual_seed(1)
    task = Task(settings(), LanguageModelBatches(context="stream", batch_size=1, bptt=bptt), data, CPU)
    task.network.double().eval()
    nats, tokens = task_losses(task)
    scores = LanguageModelPredictor(task.network, vocabulary, "stream", CPU).score(data.raw_texts("train", "text"))
    assert tokens == sum(score.tokens for score in scores)
    assert nats == pytest.approx(sum(score.nats for score in scores), rel=1e-12)


def by_hand(network, vocabulary, texts, stream):
    """One token at a time, one text at a time."""
    totals, state, last = [], None, EOS
    for text in texts:
        if not stream:
            state, last = None, EOS
        nats = 0.0
        for token in [*vocabulary.encode(text).tolist(), EOS]:
            reading = network(torch.tensor([[last]]), state)
            h, state = reading.read_BTD, reading.state
            nats -= float(network.output(h)[0, 0].log_softmax(-1)[token])
            last = token
        totals.append(nats)
    return totals


@pytest.mark.parametrize("context", ["stream", "text"])
def test_scores_are_those_of_one_token_after_the_other(network, vocabulary, context, monkeypatch):
    network.eval()
    expected = by_hand(network, vocabulary, TEXTS, context == "stream")
    for rows, steps in ((64, 512), (2, 3)):
        monkeypatch.setattr(predictor_module, "ROWS", rows)
        monkeypatch.setattr(predictor_module, "STEPS", steps)
        scores = LanguageModelPredictor(network, vocabulary, context, CPU).score(TEXTS)
        assert [score.nats for score in scores] == pytest.approx(expected, rel=1e-10)
        assert [score.tokens for score in scores] == [len(text) + 1 for text in TEXTS]


def test_a_text_scores_the_same_alone_and_among_others(network, vocabulary):
    predictor = LanguageModelPredictor(network, vocabulary, "text", CPU)
    together = predictor.score(TEXTS)
    for text, score in zip(TEXTS, together, strict=True):
        assert predictor.score([text])[0].nats == pytest.approx(score.nats, rel=1e-12)
    assert predictor.score(TEXTS[::-1]) == [pytest.approx(score) for score in together[::-1]]
    assert predictor.score([]) == []


def test_an_untrained_output_is_near_uniform_and_a_zero_output_is_uniform(network, vocabulary):
    with torch.no_grad():
        network.output.weight.zero_()
    scores = LanguageModelPredictor(network, vocabulary, "text", CPU).score(["abba"])
    assert scores[0].nats == pytest.approx(5 * math.log(len(vocabulary)))


def test_generation_depends_on_prompt_place_and_seed_alone(network, vocabulary):
    predictor = LanguageModelPredictor(network, vocabulary, "stream", CPU)
    texts = predictor.generate(["ab", "", "ab"], max_tokens=30, sampling=Sampling(), seed=3)
    assert texts[0].startswith("ab") and texts[2].startswith("ab")
    assert texts[0] != texts[2]
    assert predictor.generate(["ab"], max_tokens=30, sampling=Sampling(), seed=3) == texts[:1]
    assert predictor.generate(["ab"], max_tokens=30, sampling=Sampling(), seed=4) != texts[:1]
    assert all("<" not in text for text in texts)
    assert len(predictor.generate([""], max_tokens=5, sampling=Sampling(), seed=1)[0]) <= 5


def test_a_stream_is_written_on_behind_its_lines_as_it_was_read(network, vocabulary):
    """What is drawn behind a line's end is what follows the whole text before, that end among it."""
    predictor = LanguageModelPredictor(network, vocabulary, "stream", CPU)
    tokens = list(predictor.sample(np.array([4, 5]), 60, Sampling(), np.random.default_rng(3)))
    assert len(tokens) == 60 and EOS in tokens
    first = tokens.index(EOS) + 1
    random = np.random.default_rng(3)
    random.random(first)
    assert list(predictor.sample(np.array([4, 5, *tokens[:first]]), 60 - first, Sampling(), random)) == tokens[first:]
    assert len(predictor.generate([""], max_tokens=60, sampling=Sampling(), seed=1)[0]) == 60
    alone = LanguageModelPredictor(network, vocabulary, "text", CPU)
    assert list(alone.sample(np.array([4, 5]), 60, Sampling(), np.random.default_rng(3))) == tokens[: first - 1]


def test_generated_tokens_follow_the_distribution(network, vocabulary):
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.zero_()
    predictor = LanguageModelPredictor(network, vocabulary, "text", CPU)
    first = [predictor.generate([""], max_tokens=1, sampling=Sampling(), seed=seed)[0] for seed in range(800)]
    allowed = len(vocabulary) - 3  # PAD, BOS and UNK are never produced; EOS gives the empty text
    counts = {text: first.count(text) for text in set(first)}
    assert len(counts) == allowed
    assert max(abs(n - 800 / allowed) for n in counts.values()) < 5 * math.sqrt(800 / allowed)


def test_tied_weights_are_one_parameter(vocabulary):
    tied = LanguageModel(settings(tied=True), len(vocabulary))
    assert tied.output.weight is tied.embedding.weight
    assert tied(torch.tensor([[4, 5]]))[0].shape == (1, 2, 5)


def test_one_hot_input_is_a_column_of_the_first_weights(vocabulary):
    torch.manual_seed(1)
    one_hot = LanguageModel(settings("elman").model_copy(update={"embedding": None}), len(vocabulary)).double()
    ids = torch.tensor([[5, 9, 5]])
    w_ih, _, b_ih, _ = one_hot.recurrent.layers[0].cell.weights()
    inputs = one_hot.recurrent.layers[0].cell.inputs(one_hot.embed(ids))
    torch.testing.assert_close(inputs[0], w_ih.t()[ids[0]] + b_ih)


@pytest.mark.parametrize("context", ["text", "stream"])
def test_penalties_and_smoothing_are_extra_to_the_loss(data, context):
    """By the formulas of Merity et al. (2018) and Szegedy et al. (2016), over real positions alone."""
    bptt = {"bptt": 7} if context == "stream" else {}
    plain = LanguageModelBatches(context=context, batch_size=4, **bptt)
    more = plain.model_copy(update={"activation_penalty": 2.0, "change_penalty": 3.0, "label_smoothing": 0.1})
    torch.manual_seed(1)
    task = Task(settings(), more, data, CPU)
    task.network.double()
    for piece in task.batches(np.random.default_rng(1)):
        segment = piece.segment
        mask = segment.mask if segment.mask is not None else torch.ones_like(segment.inputs, dtype=torch.bool)
        reading = task.network(segment.inputs)
        h, logp = reading.top_BTO, task.network.output(reading.read_BTD).log_softmax(-1)
        expected = 0.0
        for row, column in mask.nonzero().tolist():
            expected += 2.0 * h[row, column].pow(2).mean()
            if column:
                expected += 3.0 * (h[row, column] - h[row, column - 1]).pow(2).mean()
            target = segment.targets[row, column]
            expected += 0.1 * (logp[row, column, target] - logp[row, column].mean())
        loss, _ = task.loss(piece, None)
        torch.testing.assert_close(loss.extra, expected)
        nats = -logp.gather(-1, segment.targets.unsqueeze(-1)).squeeze(-1)[mask].sum()
        torch.testing.assert_close(loss.nats, nats)
        task.network.eval()
        assert task.loss(piece, None)[0].extra == 0.0
        task.network.train()
