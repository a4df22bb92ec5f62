"""The training loop: one for every kind that is trained by gradient."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from unroll.errors import UserError
from unroll.kinds.bundle import weights_of
from unroll.nn.losses import Loss
from unroll.training.history import History
from unroll.training.progress import TrainingProgress
from unroll.training.schedule import learning_rate
from unroll.training.settings import TrainSettings

LOG_EVERY = 50  # updates between rows of the history


class Task(Protocol):
    """A network on its data: what a kind gives the loop."""

    network: nn.Module

    def batches(self, order: np.random.Generator) -> Iterator[Any]:
        """One epoch of training batches, on the device; `order` decides all that is random about them."""

    def valid_batches(self) -> Iterator[Any]:
        """The validation split, always the same way."""

    def loss(self, batch: Any, carry: Any) -> tuple[Loss, Any]:
        """The summed loss of a batch; `carry` is what the batch before it handed on, None at the start."""


@dataclass
class Best:
    """The weights with the lowest validation loss so far."""

    loss: float = math.inf
    step: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    misses: int = 0


@dataclass
class Window:
    """Sums since the last row of the history, kept on the device until the row is written."""

    device: torch.device
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.loss = torch.zeros((), dtype=torch.float64, device=self.device)
        self.norm = torch.zeros((), dtype=torch.float64, device=self.device)
        self.clipped = torch.zeros((), dtype=torch.float64, device=self.device)
        self.tokens = self.updates = 0

    def add(self, loss: Loss, norm: Tensor, clip: float | None) -> None:
        """Count one update."""
        self.loss += loss.nats.detach()
        self.norm += norm
        if clip is not None:
            self.clipped += norm > clip
        self.tokens += loss.tokens
        self.updates += 1


class Trainer:
    """Trains `task.network`; `fit` returns the best weights and fills `history`."""

    def __init__(self, run: str, task: Task, settings: TrainSettings, seed: int, device: torch.device) -> None:
        self.run, self.task, self.settings, self.seed, self.device = run, task, settings, seed, device
        self.history = History()
        self.best = Best()
        self.optimizer = torch.optim.Adam(
            task.network.parameters(),
            lr=settings.lr,
            betas=(0.9, settings.beta2),
            fused=True,
        )
        self.step = 0

    def fit(self) -> Best:
        """Train until the budget is spent or patience is out. Raises `UserError` at a loss that is not a number."""
        per_epoch = self._epoch_steps() if self.settings.steps is None else None
        total = self.settings.steps or per_epoch * (self.settings.epochs or 1)  # type: ignore[operator]
        window = Window(self.device)
        with TrainingProgress(self.run, total) as progress:
            for epoch in range(total):  # an epoch has at least one step
                order = np.random.default_rng((self.seed, epoch))
                carry = None
                validated = False
                for batch in self.task.batches(order):
                    carry = self._update(batch, carry, total, window)
                    validated = self._validation_due(total)
                    if validated or self.step % LOG_EVERY == 0:
                        window = self._record(window, epoch, validated, progress)
                    if self.step >= total or self._out_of_patience():
                        return self.best
                if self.settings.validate_every is None and not validated:
                    window = self._record(window, epoch, True, progress)
                    if self._out_of_patience():
                        return self.best
        return self.best

    def validate(self) -> float:
        """Nats per token on the validation split."""
        self.task.network.eval()
        total, count, carry = 0.0, 0, None
        with torch.inference_mode():
            for batch in self.task.valid_batches():
                loss, carry = self.task.loss(batch, carry)
                total += float(loss.nats)
                count += loss.tokens
        self.task.network.train()
        return total / count

    def _epoch_steps(self) -> int:
        return sum(1 for _ in self.task.batches(np.random.default_rng((self.seed, 0))))

    def _update(self, batch: Any, carry: Any, total: int, window: Window) -> Any:
        """One update of the weights: the gradient of the mean loss over the batch's tokens, clipped."""
        rate = learning_rate(self.settings, (self.step + 1) / total)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, carry = self.task.loss(batch, carry)
        self.optimizer.zero_grad(set_to_none=True)
        (loss.nats / loss.tokens).backward()  # type: ignore[no-untyped-call]
        limit = self.settings.clip if self.settings.clip is not None else math.inf
        norm = nn.utils.clip_grad_norm_(self.task.network.parameters(), limit)
        self.optimizer.step()
        self.step += 1
        window.add(loss, norm, self.settings.clip)
        return carry

    def _validation_due(self, total: int) -> bool:
        every = self.settings.validate_every
        return self.step >= total or (every is not None and self.step % every == 0)

    def _out_of_patience(self) -> bool:
        return self.settings.patience is not None and self.best.misses >= self.settings.patience

    def _record(self, window: Window, epoch: int, validated: bool, progress: TrainingProgress) -> Window:
        """Write a row of the history from `window`, with a validation if one is due; return an empty window."""
        train_loss = float(window.loss) / max(window.tokens, 1)
        seconds = time.perf_counter() - window.started
        if not math.isfinite(train_loss):
            raise UserError(
                f"runs.{self.run}.train: the loss is {train_loss} at step {self.step}; a lower lr or a clip may help"
            )
        valid_loss = self.validate() if validated else None
        if valid_loss is not None:
            self._judge(valid_loss)
        values: dict[str, float | None] = {
            "step": self.step,
            "epoch": epoch + 1,
            "lr": self.optimizer.param_groups[0]["lr"],
            "train_loss": train_loss if window.updates else None,
            "valid_loss": valid_loss,
            "grad_norm": float(window.norm) / window.updates if window.updates else None,
            "clipped": float(window.clipped) / window.updates if window.updates else None,
        }
        self.history.add(values, window.tokens, seconds)
        progress.show(self.step, train_loss, valid_loss, window.tokens / max(seconds, 1e-9))
        return Window(self.device)

    def _judge(self, valid_loss: float) -> None:
        if valid_loss < self.best.loss:
            self.best = Best(valid_loss, self.step, weights_of(self.task.network))
        else:
            self.best.misses += 1
