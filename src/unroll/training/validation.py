"""Validation: the loss on the validation split and, where it is asked for, a score of decoded text."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch

from unroll.training.optim import Average
from unroll.training.task import Task


class Score(Protocol):
    """What validations are compared by in place of the loss."""

    name: str

    def __call__(self) -> float:
        """Of the network as it is, larger is better; may leave it in evaluation mode."""


@dataclass
class Validation:
    """What one validation found."""

    loss: float = math.inf
    """Nats per token."""
    score: float | None = None
    """None if validations are compared by the loss."""

    @property
    def rank(self) -> tuple[float, float]:
        """Smaller is better; of equal scores (BLEU may be 0 for long) the loss decides. No finite loss: the worst."""
        if not math.isfinite(self.loss):
            return math.inf, math.inf
        return 0.0 if self.score is None else -self.score, self.loss


class Validator:
    """Validates the network of `task`, always the same way."""

    def __init__(self, task: Task, score: Score | None, device: torch.device) -> None:
        self.task, self.score, self.device = task, score, device
        self.more = [f"valid_{score.name}"] if score else []
        """Columns of `history.csv` beside `valid_loss`."""

    def validate(self, average: Average) -> Validation:
        """What the weights in `average` are worth, the present ones if there is none."""
        nats = torch.zeros((), dtype=torch.float64, device=self.device)
        count, carry = 0, None
        self.task.network.eval()
        with torch.inference_mode(), average.in_place():
            for batch in self.task.valid_batches():
                loss, carry = self.task.loss(batch, carry)
                nats += loss.nats
                count += loss.tokens
            score = self.score() if self.score else None
        self.task.network.train()
        return Validation(nats.item() / count, score)

    def row(self, found: Validation) -> dict[str, float | None]:
        """The cells of `history.csv`."""
        return {"valid_loss": found.loss, **dict.fromkeys(self.more, found.score)}

    def told(self, found: Validation) -> str:
        """For a person who watches."""
        return f"{found.loss:.3f}" + (f"  {self.score.name} {found.score:.2f}" if self.score else "")
