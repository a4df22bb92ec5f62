"""The training loop on a small task whose optimum is known."""

import hashlib
import math
import os
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from unroll.errors import UserError
from unroll.nn.losses import Loss, cross_entropy
from unroll.training import loop
from unroll.training.checkpoints import Checkpoints
from unroll.training.loop import Trainer
from unroll.training.schedule import Place, learning_rate
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

    def epoch_steps(self):
        return 3

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
    assert trainer.validator.validate(trainer.average).loss == pytest.approx(best.loss)


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"steps": 7}, 7),
        ({"epochs": 2}, 6),
        ({"steps": 1}, 1),
        ({"epochs": 2, "accumulate": 2}, 4),
        ({"epochs": 2, "accumulate": 3}, 2),
        ({"steps": 5, "accumulate": 2}, 5),
    ],
)
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
        ({"schedule": "constant"}, {(0.0, 0, 0): 2.0, (0.5, 3, 2): 2.0, (1.0, 9, 0): 2.0}),
        ({"schedule": "constant", "warmup": 0.5}, {(0.0, 0, 0): 0.0, (0.25, 0, 0): 1.0, (0.5, 0, 0): 2.0}),
        ({"schedule": "cosine"}, {(0.0, 0, 0): 2.0, (0.5, 0, 0): 1.0, (1.0, 0, 0): 0.0}),
        ({"schedule": "cosine", "warmup": 0.2}, {(0.1, 0, 0): 1.0, (0.2, 0, 0): 2.0, (0.6, 0, 0): 1.0}),
        ({"schedule": "exponential"}, {(0, 0.9, 0): 2.0, (0, 1, 0): 1.0, (0, 2.5, 0): 0.5}),
        ({"schedule": "exponential", "staircase": False}, {(0, 0.5, 0): 2**0.5, (0, 1, 0): 1.0, (0, 2, 0): 0.5}),
        ({"schedule": "exponential", "decay_after": 4.0, "decay_every": 2.0}, {(0, 5.9, 0): 2.0, (0, 6, 0): 1.0}),
        ({"schedule": "plateau", "decay": 0.1}, {(0, 5, 0): 2.0, (0, 5, 1): 0.2, (0, 5, 2): 0.02}),
    ],
)
def test_schedules(settings, points):
    chosen = TrainSettings(lr=2.0, steps=1, **settings)
    for place, rate in points.items():
        assert learning_rate(chosen, Place(*place)) == pytest.approx(rate, abs=1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "nt-asgd"])
def test_every_optimizer_learns_what_can_be_learned(optimizer):
    lr = 0.3 if "sgd" in optimizer else 0.1
    _, best, _ = train(optimizer=optimizer, epochs=80, lr=lr, schedule="exponential", decay=0.93)
    entropy = -sum(n / 10 * math.log(n / 10) for n in COUNTS)
    assert best.loss == pytest.approx(entropy, abs=4e-3)


class Quadratic:
    """One matrix and one vector whose loss is their sum: every gradient is one, whatever they are."""

    def __init__(self) -> None:
        self.network = nn.Linear(2, 2)

    def epoch_steps(self):
        return 1

    def batches(self, order):
        yield None

    def valid_batches(self):
        yield None

    def loss(self, batch, carry):
        return Loss(sum(p.sum() for p in self.network.parameters()), 1), None


@pytest.mark.parametrize(
    ("settings", "matrix", "vector"),
    [
        ({"optimizer": "sgd"}, lambda w: w - 0.1, lambda b: b - 0.1),
        ({"optimizer": "sgd", "weight_decay": 0.5}, lambda w: w - 0.1 * (1 + 0.5 * w), lambda b: b - 0.1),
        ({"optimizer": "adamw", "weight_decay": 0.5}, lambda w: w * (1 - 0.05) - 0.1, lambda b: b - 0.1),
        ({"optimizer": "adam"}, lambda w: w - 0.1, lambda b: b - 0.1),
    ],
)
def test_one_update_by_hand(settings, matrix, vector):
    torch.manual_seed(1)
    task = Quadratic()
    weight, bias = (p.detach().clone() for p in task.network.parameters())
    Trainer("quadratic", task, TrainSettings(lr=0.1, steps=1, **settings), 1, torch.device("cpu")).fit()
    torch.testing.assert_close(task.network.weight.detach(), matrix(weight), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(task.network.bias.detach(), vector(bias), rtol=1e-5, atol=1e-6)


def test_extra_loss_moves_the_weights_and_is_not_reported():
    class WithExtra(Unigram):
        def loss(self, batch, carry):
            loss, carry = super().loss(batch, carry)
            return loss._replace(extra=100 * self.network.bias.pow(2).sum()), carry

    trainer, best, task = train(task=WithExtra(), steps=200)
    assert task.network.bias.abs().max() < 0.01
    assert best.loss == pytest.approx(math.log(3), abs=0.5)
    assert float(trainer.history.rows[-1]["train_loss"]) < 2


def test_plateau_cuts_the_rate_when_validation_stops_improving():
    trainer, _, _ = train(steps=60, lr=3.0, schedule="plateau", validate_every=1, plateau=2, decay=0.1)
    losses = [float(row["valid_loss"]) for row in trainer.history.rows]
    rates = [float(row["lr"]) for row in trainer.history.rows]
    misses, expected = 0, [3.0]
    for n, loss in enumerate(losses[:-1]):
        misses = 0 if loss < min([math.inf, *losses[:n]]) else misses + 1
        expected.append(expected[-1] * (0.1 if misses and misses % 2 == 0 else 1))
    assert len(set(expected)) > 2
    assert rates == pytest.approx(expected)


def test_nt_asgd_takes_the_mean_of_the_weights_once_it_is_triggered():
    trainer, best, task = train(steps=60, lr=2.0, optimizer="nt-asgd", trigger=2, validate_every=1)
    losses = [float(row["valid_loss"]) for row in trainer.history.rows]
    triggered = next(n for n in range(len(losses)) if losses[: max(n - 2, 0)] and losses[n] > min(losses[: n - 2]))
    assert trainer.average.count == 60 - triggered
    with trainer.average.in_place():
        averaged = {name: p.detach().clone() for name, p in task.network.named_parameters()}
    assert best.step > triggered
    assert any(not torch.equal(averaged[name], p) for name, p in task.network.named_parameters())
    assert max(losses[-10:]) < min(losses[:triggered])


def test_a_budget_in_minutes_ends_with_a_validation():
    trainer, best, _ = train(minutes=0.003, schedule="cosine")
    assert trainer.step > 3
    assert trainer.history.rows[-1]["valid_loss"]
    assert float(trainer.history.rows[-1]["lr"]) < 0.01
    assert best.weights


class StoppedError(Exception):
    pass


class Interrupted(Unigram):
    """Fails before some batch, as a machine that is switched off."""

    def __init__(self, fails_at: int) -> None:
        super().__init__()
        self.left = fails_at

    def loss(self, batch, carry):
        if self.network.training:
            self.left -= 1
            if self.left < 0:
                raise StoppedError
        return super().loss(batch, carry)


def resumable(folder, settings, fails_at=10**9):
    torch.manual_seed(1)
    task = Interrupted(fails_at)
    task.network = nn.Sequential(nn.Dropout(0.5), task.network)
    chosen = TrainSettings(**{"lr": 0.3, **settings})
    trainer = Trainer("unigram", task, chosen, 1, torch.device("cpu"), Checkpoints(folder))
    return trainer, trainer.fit()


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 8},
        {"steps": 23, "schedule": "cosine", "warmup": 0.2, "validate_every": 4},
        {"epochs": 8, "optimizer": "nt-asgd", "trigger": 1, "lr": 2.0, "validate_every": 2, "average": 2},
        {"epochs": 8, "schedule": "plateau", "optimizer": "adamw", "weight_decay": 0.1},
        {"epochs": 8, "accumulate": 2, "validate_every": 3},
    ],
)
@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, 11, 17])
def test_an_interrupted_training_ends_with_the_same_bits(tmp_path, monkeypatch, settings, fails_at):
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    whole, best = resumable(tmp_path / "whole", settings)
    with pytest.raises(StoppedError):
        resumable(tmp_path / "broken", settings, fails_at)
    torch.rand(17)  # another process has drawn other numbers
    again, best_again = resumable(tmp_path / "broken", settings)
    assert again.history.rows == whole.history.rows
    assert best_again.loss == best.loss
    assert all(torch.equal(best_again.weights[name], weight) for name, weight in best.weights.items())
    assert [row["step"] for row in again.history.timings] == [row["step"] for row in whole.history.timings]


def test_the_machine_at_work_is_recorded(tmp_path):
    trainer, _ = resumable(tmp_path, {"epochs": 8})
    cores = os.cpu_count() or 1
    assert all(0 < float(row["cpu_percent"]) <= 105 * cores for row in trainer.history.timings)
    assert all(row["peak_gpu_bytes"] == "" for row in trainer.history.timings)


@pytest.mark.parametrize("settings", [{}, {"average": 3}])
def test_more_epochs_go_on_from_where_fewer_have_ended(tmp_path, capsys, settings):
    resumable(tmp_path, {"epochs": 3, **settings})
    more, best = resumable(tmp_path, {"epochs": 8, **settings})
    assert "goes on from step 9" in capsys.readouterr().err
    at_once, expected = resumable(tmp_path / "other", {"epochs": 8, **settings})
    assert more.history.rows == at_once.history.rows
    assert all(torch.equal(best.weights[name], weight) for name, weight in expected.weights.items())
    fewer, _ = resumable(tmp_path, {"epochs": 2, **settings})
    assert fewer.step == 6
    assert "beyond this budget; begins anew" in capsys.readouterr().err


@pytest.mark.parametrize("settings", [{"schedule": "cosine"}, {"average": 2}, {"patience": 1, "lr": 40.0}])
def test_a_finished_training_that_is_run_again_is_at_its_end(tmp_path, settings):
    first, best = resumable(tmp_path, {"epochs": 6, **settings})
    again, same = resumable(tmp_path, {"epochs": 6, **settings}, fails_at=0)  # not one batch more
    assert again.history.rows == first.history.rows
    assert (same.step, same.averaged) == (best.step, best.averaged)
    assert all(torch.equal(same.weights[name], weight) for name, weight in best.weights.items())


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    with pytest.raises(StoppedError):
        resumable(tmp_path, {"epochs": 8}, 12)
    before, last = sorted(tmp_path.glob("*.pt"))
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    again, _ = resumable(tmp_path, {"epochs": 8})
    told = capsys.readouterr().err
    assert f"{last}: damaged" in told
    assert f"goes on from step {int(before.name[:10])}" in told
    whole, _ = resumable(tmp_path / "whole", {"epochs": 8})
    assert again.history.rows == whole.history.rows


@pytest.mark.parametrize("content", [b"", b"no checkpoint", pickle.dumps(print)], ids=["nothing", "text", "pickle"])
def test_a_file_that_only_looks_like_a_checkpoint_is_named_and_not_used(tmp_path, capsys, content):
    digest = hashlib.sha256(content).hexdigest()[:16]
    (tmp_path / f"0000000003.{digest}.pt").write_bytes(content)
    assert Checkpoints(tmp_path).load(torch.device("cpu")) is None
    assert ".pt: no checkpoint: " in capsys.readouterr().err
