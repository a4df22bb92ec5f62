"""The training loop: one update, validation, history, and when to stop."""

import math
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from unroll.errors import UserError
from unroll.kinds.bundle import put_weights, weights_of
from unroll.nn.device import give_memory_back
from unroll.nn.losses import Loss
from unroll.nn.precision import precision_on
from unroll.training.checkpoints import Checkpoints
from unroll.training.gradient import backward, gradients, has_gradient, scale_gradients
from unroll.training.history import History
from unroll.training.interruption import Interruption, Stopped
from unroll.training.memory import want_told
from unroll.training.optim import Average, make_optimizer
from unroll.training.parallel import Group, Told
from unroll.training.progress import TrainingProgress
from unroll.training.ranking import Best, Ranking
from unroll.training.schedule import Place, learning_rate
from unroll.training.settings import TrainSettings
from unroll.training.state import Position, restore, seed_process, state_of
from unroll.training.task import Task
from unroll.training.validation import Score, Validation, Validator
from unroll.training.window import Window

LOG_EVERY = 50  # updates between rows of the history
SAVE_SECONDS = 60.0  # between checkpoints


class Trainer:
    """Trains `task.network`; `fit` returns the best weights and fills `history`.

    The processes of `group` do the same on their parts of each batch: they have the same weights at all times, add up
    their gradients, and decide nothing that they have not told each other.
    """

    def __init__(
        self,
        run: str,
        task: Task,
        settings: TrainSettings,
        seed: int,
        device: torch.device,
        checkpoints: Checkpoints | None = None,
        score: Score | None = None,
        group: Group | None = None,
    ) -> None:
        self.run, self.task, self.settings, self.seed, self.device = run, task, settings, seed, device
        self.precision = precision_on(device, settings.precision)
        self.checkpoints = checkpoints
        self.score = score
        self.group = group or Group()
        task.part = self.group.part
        self.interruption = Interruption()
        self.validator = Validator(task, score, device, self.group)
        gpu = torch.cuda.max_memory_allocated if device.type == "cuda" else None
        self.history = History(self.validator.more, peak_gpu_bytes=gpu)
        self.ranking = Ranking(settings.average or 1)
        self.at = Position()
        self.told = Told()
        self.carry: Any = None
        self.window = Window(device)
        self.started = self.saved = time.perf_counter()
        self.ranks: list[tuple[float, float]] = []
        self.optimizer = make_optimizer(task.network, settings)
        self.average = Average(task.network)
        self.per_epoch = task.epoch_steps()
        updates = math.ceil(self.per_epoch / settings.accumulate)
        self.limit = settings.steps or (settings.epochs * updates if settings.epochs else None)

    @property
    def step(self) -> int:
        """Updates so far."""
        return self.at.step

    def fit(self) -> Best:
        """Train until the budget is spent or patience is out. Raises `UserError` at a loss that is not a number.

        What is returned has no weights if no validation loss was a number.
        """
        self._resume()
        if self.checkpoints and self.group.first:
            self.history.follow(self.checkpoints.folder)
        self.started = self.saved = time.perf_counter()
        with self.interruption:
            try:
                with TrainingProgress(self.run, self._share(self.step)) as progress:
                    while not self._finished():
                        self._epoch(progress)
                best = self._chosen()
            except Stopped as stopped:
                self._leave(stopped)
            self._save()
        return best

    def _epoch(self, progress: TrainingProgress) -> None:
        """What is left of an epoch."""
        self._record_if_due(progress)  # training was stopped before it could
        order = np.random.default_rng((self.seed, self.at.epoch))
        left = islice(self.task.batches(order), self.at.batch, None)
        while not self._finished() and (batches := list(islice(left, self.settings.accumulate))):
            with want_told(self.run, self.step + 1, batches):
                self._update(batches)
            if self.told.stop:
                self.interruption.stop()
            self._record_if_due(progress)
            if self.told.save:
                self._save()
        if self._finished():
            return
        if self.settings.validate_every is None and self.at.validated < self.step:
            self._record(True, progress)
        self.at.epoch, self.at.batch, self.carry = self.at.epoch + 1, 0, None

    def _record_if_due(self, progress: TrainingProgress) -> None:
        """Write the row of the history that belongs to this step, if one does and it was not written yet."""
        every = self.settings.validate_every
        validate = self._spent() or (every is not None and self.step % every == 0)
        if self.at.recorded < self.step and (validate or self.step % LOG_EVERY == 0):
            self._record(validate, progress)

    def _chosen(self) -> Best:
        """The best weights, or the mean of the best ones if it validates better."""
        best, kept = self.ranking.best, self.ranking.kept
        if len(kept) < 2:
            return best
        average = Average.of(self.task.network, [one.weights for one in kept])
        found = self._validate(average)
        better = found.rank < best.rank
        steps, told = sorted(one.step for one in kept), self.validator.told
        print(
            f"{self.run}: the mean of the weights of steps {', '.join(map(str, steps))}: valid {told(found)}; "
            f"those of step {best.step} alone: valid {told(best)}; the {'mean' if better else 'latter'} it is",
            file=sys.stderr,
        )
        return Best(found.loss, found.score, best.step, self._weights(average), steps) if better else best

    def _weights(self, average: Average) -> dict[str, Tensor]:
        with average.in_place():
            return weights_of(self.task.network)

    def _update(self, batches: Sequence[Any]) -> None:
        """One update of the weights: the gradient of the mean loss over the tokens of all `batches`, clipped."""
        rate = self._rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.task.progress = self._share(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        nats, tokens, divisor, self.carry = backward(self.task, batches, self.carry, self.precision, self.device)
        wanted = self._tell(tokens)
        if divisor and divisor != self.told.tokens:
            scale_gradients(self.task.network, divisor / self.told.tokens)
        self.group.add_up([nats, *gradients(self.task.network, wanted)])
        self._look("loss", nats, self.step + 1)
        limit = self.settings.clip if self.settings.clip is not None else math.inf
        norm = nn.utils.clip_grad_norm_(self.task.network.parameters(), limit)
        self._look("gradient's norm", norm, self.step + 1)
        self.optimizer.step()
        self.at.step += 1
        self.at.batch += len(batches)
        if self.average.means:
            self.average.add()
        self.window.add(Loss(nats, self.told.tokens), norm, self.settings.clip)

    def _tell(self, tokens: int) -> Sequence[float]:
        """Tell the other processes of an update on so many `tokens` and hear from them: put what they said together in
        `told`; return of each parameter how many have a gradient."""
        now = time.perf_counter()
        said = tokens, self.interruption.asked, now - self.saved > SAVE_SECONDS, now - self.started
        heard = self.group.sum([*said, *has_gradient(self.task.network)])
        self.told = Told(int(heard[0]), int(heard[1]), int(heard[2]), heard[3])
        return heard[4:]

    def _rate(self) -> float:
        epochs = self.at.epoch + self.at.batch / self.per_epoch
        return learning_rate(self.settings, Place(self._share(self.step + 1), epochs, self.at.cuts))

    def _share(self, step: int) -> float:
        """Of the budget, once `step` updates are done."""
        if self.limit is not None:
            return step / self.limit
        assert self.settings.minutes is not None
        return (self.at.seconds + self.told.seconds / self.group.size) / (60 * self.settings.minutes)

    def _spent(self) -> bool:
        return self._share(self.step) >= 1

    def _finished(self) -> bool:
        patience = self.settings.patience
        if patience is not None and self.ranking.misses >= patience:
            return True
        return self._spent() and self.at.validated == self.step

    def _record(self, validate: bool, progress: TrainingProgress) -> None:
        """Write a row of the history, with a validation if one is due, and begin a new window."""
        self._look_back()
        means = self.window.means()
        loss = means["train_loss"]
        seconds = time.perf_counter() - self.window.started
        values = {"step": self.step, "epoch": self.at.epoch + 1, "lr": self.optimizer.param_groups[0]["lr"], **means}
        valid = None
        if validate:
            found = self._validate(self.average)
            self._judge(found)
            values |= self.validator.row(found)
            valid = self.validator.told(found)
            give_memory_back()
        self.history.add(values, self.window.tokens, seconds)
        self.at.recorded = self.step
        speed = self.window.tokens / max(seconds, 1e-9)
        progress.show(self.step, self._share(self.step), loss if loss is not None else math.nan, valid, speed)
        self.window = Window(self.device)

    def _validate(self, average: Average) -> Validation:
        """What the weights in `average` are worth; of what a signal has broken off in any process, nothing is kept."""
        seen = None
        with suppress(Stopped), self.interruption.at_once():
            seen = self.validator.look(average)
        if sum(self.group.sum([self.interruption.asked])):
            self.interruption.stop()
        assert seen is not None
        return self.validator.found(seen)

    def _judge(self, found: Validation) -> None:
        """Keep the weights if they are among the best; if they are not the best, see what that changes."""
        self.at.validated = self.step
        before = self.ranks[: -self.settings.trigger]
        self.ranks.append(found.rank)
        if self.ranking.add(found, self.step, lambda: self._weights(self.average)):
            return
        if self.settings.schedule == "plateau" and self.ranking.misses % self.settings.plateau == 0:
            self.at.cuts += 1
        starts = self.settings.optimizer == "nt-asgd" and not self.average.means
        if starts and before and found.rank > min(before):
            self.average.add()

    def _look(self, what: str, value: Tensor, step: int) -> None:
        """Stop at what is no number before it gets into the weights; not on a GPU, which looking would make wait."""
        if self.device.type == "cpu":
            self._must_be_finite(what, value.item(), step)

    def _look_back(self) -> None:
        """Stop if anything of the window was not a number."""
        self._must_be_finite("loss", self.window.loss.item(), self.step)
        self._must_be_finite("gradient's norm", self.window.norm.item(), self.step)

    def _must_be_finite(self, what: str, value: float, step: int) -> None:
        if not math.isfinite(value):
            kept = f"; the best validation so far was at step {self.ranking.best.step}" if self.ranking.kept else ""
            raise UserError(
                f"runs.{self.run}.train: the {what} is {value} at step {step}; a lower lr or a clip may help{kept}"
            )

    def _save(self) -> None:
        """Write a checkpoint, of good weights alone."""
        self._look_back()
        self.saved = time.perf_counter()
        if self.checkpoints is None:
            return
        state = state_of(self, self.at.seconds + self.saved - self.started)
        if self.group.first:
            self.checkpoints.save(self.step, state)

    def _leave(self, stopped: Stopped) -> NoReturn:
        """Write a checkpoint and end, as the signal asks."""
        self._save()
        kept = "its checkpoint is written: dvc repro goes on from there" if self.checkpoints else "nothing is kept"
        print(f"{self.run}: stopped by {stopped} at step {self.step:,}; {kept}", file=sys.stderr)
        raise SystemExit(128 + stopped.number) from None

    def _resume(self) -> None:
        """Go on from the last checkpoint of any host, if there is one that the budget has not passed; else begin."""
        network, group = self.task.network, self.group
        put_weights(network, group.broadcast(weights_of(network)))
        if group.rank:
            seed_process(self.seed, group.rank, 0)
        found = self.checkpoints.load(self.device) if self.checkpoints and group.first else None
        steps = group.gather(found["position"]["step"] if found else -1)
        state = group.broadcast(found, steps.index(max(steps)))
        if state is None:
            return
        step = state["position"]["step"]
        if self.limit is not None and step > self.limit:
            print(f"{self.run}: an earlier training went to step {step}, beyond this budget; begins anew",
                  file=sys.stderr)  # fmt: skip
            return
        restore(self, state)
        print(f"{self.run}: goes on from step {step} of an earlier training", file=sys.stderr)
