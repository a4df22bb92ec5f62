"""The training loop on a small task whose optimum is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from unroll.errors import UserError
from unroll.nn.losses import Loss, cross_entropy
from unroll.training.loop import Trainer
from unroll.training.schedule import learning_rate
from unroll.training.settings import TrainSettings

COUNTS = [6, 3, 1]


class Unigram:
    """Learns the frequencies of three words; the optimum is their entropy."""

    def __init__(self, poison_at: int | None = None) -> None:
        self.network = nn.Linear(1, len(COUNTS))
        self.words = torch.tensor([word for word, count in enumerate(COUNTS) for _ in range(count)])
        self.poison_at = poison_at
        self.seen: list[list[int]] = []
        self.carries: list[int | None] = []

    def batches(self, order: np.random.Generator):
        words = self.words[order.permutation(len(self.words))]
        self.seen.append(words.tolist())
        yield from words.split(4)

    def valid_batches(self):
        yield self.words

    def loss(self, batch, carry):
        self.carries.append(carry)
        loss = cross_entropy(self.network(torch.zeros(len(batch), 1)), batch)
        if self.poison_at is not None and len(self.carries) > self.poison_at:
            loss = Loss(loss.nats * math.nan, loss.tokens)
        return loss, (carry or 0) + 1


def train(task=None, seed=1, **settings):
    torch.manual_seed(seed)
    task = task or Unigram()
    trainer = Trainer("unigram", task, TrainSettings(**{"lr": 0.05, **settings}), seed, torch.device("cpu"))
    return trainer, trainer.fit(), task


def test_it_learns_what_can_be_learned():
    trainer, best, _ = train(epochs=120, schedule="cosine")
    entropy = -sum(n / 10 * math.log(n / 10) for n in COUNTS)
    assert best.loss == pytest.approx(entropy, abs=1e-3)
    assert trainer.step == 120 * 3


def test_the_best_weights_are_kept_and_patience_ends_the_run():
    trainer, best, task = train(epochs=200, lr=3.0, patience=5)
    assert trainer.step < 600
    losses = [float(row["valid_loss"]) for row in trainer.history.rows if row["valid_loss"]]
    assert best.loss == pytest.approx(min(losses), rel=1e-6)
    assert len(losses) - 1 - int(np.argmin(losses)) == 5
    with torch.no_grad():
        for name, parameter in task.network.named_parameters():
            parameter.copy_(best.weights[name])
    assert trainer.validate() == pytest.approx(best.loss)


@pytest.mark.parametrize(("settings", "steps"), [({"steps": 7}, 7), ({"epochs": 2}, 6), ({"steps": 1}, 1)])
def test_the_budget_is_kept_to_the_step_and_ends_with_a_validation(settings, steps):
    trainer, best, _ = train(**settings)
    assert trainer.step == steps
    assert trainer.history.rows[-1]["step"] == str(steps)
    assert trainer.history.rows[-1]["valid_loss"]
    assert best.weights


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, same, other = (train(epochs=3, seed=seed) for seed in (1, 1, 2))
    assert first[0].history.rows == same[0].history.rows
    assert all(torch.equal(first[1].weights[name], same[1].weights[name]) for name in first[1].weights)
    assert first[2].seen[:3] != other[2].seen[:3]


def test_every_epoch_has_a_new_order_and_a_fresh_carry():
    _, _, task = train(steps=6)
    assert sorted(task.seen[0]) == sorted(task.seen[1])
    assert task.seen[0] != task.seen[1]


def test_the_gradient_is_clipped_and_the_share_recorded():
    trainer, _, _ = train(steps=4, clip=1e-6)
    assert float(trainer.history.rows[-1]["clipped"]) == 1.0
    trainer, _, _ = train(steps=4, clip=1e6)
    assert float(trainer.history.rows[-1]["clipped"]) == 0.0


def test_a_loss_that_is_no_number_stops_the_run_with_the_step():
    with pytest.raises(UserError, match=r"runs\.unigram\.train: the loss is nan at step"):
        train(task=Unigram(poison_at=4), steps=300)


@pytest.mark.parametrize(
    ("settings", "points"),
    [
        ({"schedule": "constant"}, {0.0: 2.0, 0.5: 2.0, 1.0: 2.0}),
        ({"schedule": "constant", "warmup": 0.5}, {0.0: 0.0, 0.25: 1.0, 0.5: 2.0, 1.0: 2.0}),
        ({"schedule": "cosine"}, {0.0: 2.0, 0.5: 1.0, 1.0: 0.0}),
        ({"schedule": "cosine", "warmup": 0.2}, {0.1: 1.0, 0.2: 2.0, 0.6: 1.0, 1.0: 0.0}),
    ],
)
def test_schedules(settings, points):
    chosen = TrainSettings(lr=2.0, steps=1, **settings)
    for progress, rate in points.items():
        assert learning_rate(chosen, progress) == pytest.approx(rate, abs=1e-12)
