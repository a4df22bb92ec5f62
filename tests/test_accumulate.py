"""Gradients of several batches make one update: that of one batch which holds them all."""

import math

import numpy as np
import pytest
import torch
from builders import pair_dataset, text_dataset

from unroll.kinds.language_model.settings import LanguageModelBatches, LanguageModelSettings
from unroll.kinds.language_model.task import Task as TextTask
from unroll.kinds.seq2seq.settings import Seq2SeqBatches, Seq2SeqSettings
from unroll.kinds.seq2seq.task import Task as PairTask
from unroll.training.loop import Trainer
from unroll.training.settings import TrainSettings

CPU = torch.device("cpu")
ALL = 10_000  # more rows, or batches, than there are
TEXTS = [" ".join("abcdefg"[n % 7 :][: 1 + n % 5] * (1 + n % 3)) for n in range(23)]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return text_dataset(tmp_path_factory.mktemp("texts"), TEXTS, {"unit": "char"})


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return pair_dataset(tmp_path_factory.mktemp("pairs"), [(text, text[::-1]) for text in TEXTS])


def text_task(data, **batches):
    torch.manual_seed(1)
    model = LanguageModelSettings(kind="language_model", cell="lstm", embedding=4, hidden=5)
    task = TextTask(model, LanguageModelBatches(**batches), data, CPU)
    task.network.double()
    return task


def pair_task(data, **batches):
    torch.manual_seed(1)
    model = Seq2SeqSettings(kind="seq2seq", cell="gru", embedding=4, hidden=6)
    task = PairTask(model, Seq2SeqBatches(**batches), data, CPU)
    task.network.double()
    return task


def train(task, **settings):
    chosen = TrainSettings(lr=0.3, optimizer="sgd", momentum=0.5, clip=0.5, **settings)
    trainer = Trainer("run", task, chosen, 1, CPU)
    trainer.fit()
    return trainer


def weights_of(task):
    return torch.cat([p.detach().flatten() for p in task.network.parameters()])


SMOOTH = {"label_smoothing": 0.1}
CASES = {
    "texts": (text_task, {"context": "text", **SMOOTH}, {"batch_size": 5}),
    "texts with penalties": (text_task, {"context": "text", "activation_penalty": 1.0, "change_penalty": 1.0},
                             {"batch_size": 4}),
    "pairs": (pair_task, SMOOTH, {"batch_size": 5}),
    "pairs by tokens": (pair_task, SMOOTH, {"batch_tokens": 40}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_update_on_all_batches_is_one_on_a_batch_of_all(request, case):
    make, batches, size = CASES[case]
    data = request.getfixturevalue("texts" if make is text_task else "pairs")
    parts, whole = make(data, **batches, **size), make(data, **batches, batch_size=ALL)
    assert parts.epoch_steps() > 3
    first = weights_of(parts)
    trainer, expected = train(parts, epochs=3, accumulate=ALL), train(whole, epochs=3)
    assert trainer.step == expected.step == 3
    torch.testing.assert_close(weights_of(parts), weights_of(whole), rtol=1e-12, atol=1e-12)
    assert (weights_of(parts) - first).abs().max() > 0.01
    for found, row in zip(trainer.history.rows, expected.history.rows, strict=True):
        numbers = [(float(found[name]), float(row[name])) for name in row if row[name]]
        assert all(a == pytest.approx(b, rel=1e-7) for a, b in numbers)


def test_of_a_stream_they_are_consecutive_segments_with_the_state_carried_on(texts):
    """Against the sum of their losses, made by hand from an unbroken walk along the stream."""
    settings = {"context": "stream", "batch_size": 3, "bptt": 4}
    task, by_hand = text_task(texts, **settings), text_task(texts, **settings)
    per_epoch = task.epoch_steps()
    assert per_epoch % 3 == 1  # an update of a single batch ends the epoch
    trainer = train(task, epochs=2, accumulate=3)
    assert trainer.step == 2 * math.ceil(per_epoch / 3)
    parameters = list(by_hand.network.parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.3, momentum=0.5)
    for _ in range(2):
        carry, segments = None, list(by_hand.batches(np.random.default_rng(1)))
        for start in range(0, per_epoch, 3):
            nats, tokens = 0.0, 0
            for segment in segments[start : start + 3]:
                loss, carry = by_hand.loss(segment, carry)
                nats, tokens = nats + loss.nats, tokens + loss.tokens
            optimizer.zero_grad()
            (nats / tokens).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 0.5)
            optimizer.step()
    torch.testing.assert_close(weights_of(task), weights_of(by_hand), rtol=1e-12, atol=1e-12)
