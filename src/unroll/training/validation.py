"""Validation: the loss on the validation split and, where it is asked for, a score of decoded text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from unroll.text.batches import Part
from unroll.training.optim import Average
from unroll.training.parallel import Group
from unroll.training.task import Task


class Score(Protocol):
    """What validations are compared by in place of the loss."""

    name: str

    def decode(self, part: Part) -> list[str]:
        """What the network as it is makes of the sources of `part`; may leave it in evaluation mode."""

    def of(self, parts: Sequence[Sequence[str]]) -> float:
        """What all that was decoded is worth, larger is better; each part's by itself."""


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


class Seen(NamedTuple):
    """What one process saw of the validation split: a summed loss and its tokens, and decoded texts."""

    nats: float
    tokens: int
    decoded: list[str]


class Validator:
    """Validates the network of `task`, always the same way; each process of `group` its part."""

    def __init__(self, task: Task, score: Score | None, device: torch.device, group: Group) -> None:
        self.task, self.score, self.device, self.group = task, score, device, group
        self.more = [f"valid_{score.name}"] if score else []
        """Columns of `history.csv` beside `valid_loss`."""

    def validate(self, average: Average) -> Validation:
        """What the weights in `average` are worth, the present ones if there is none."""
        return self.found(self.look(average))

    def look(self, average: Average) -> Seen:
        """This process's part of it, without a word to the others."""
        nats = torch.zeros((), dtype=torch.float64, device=self.device)
        tokens, carry = 0, None
        decoded: list[str] = []
        self.task.network.eval()
        with torch.inference_mode(), average.in_place():
            for batch in self.task.valid_batches():
                if batch is None:  # other processes have all of it
                    continue
                loss, carry = self.task.loss(batch, carry)
                nats += loss.nats
                tokens += loss.tokens
            if self.score:
                decoded = self.score.decode(self.group.part)
        self.task.network.train()
        return Seen(nats.item(), tokens, decoded)

    def found(self, seen: Seen) -> Validation:
        """What all processes have seen together."""
        nats, tokens = self.group.sum([seen.nats, seen.tokens])
        return Validation(nats / tokens, self.score.of(self.group.gather(seen.decoded)) if self.score else None)

    def row(self, found: Validation) -> dict[str, float | None]:
        """The cells of `history.csv`."""
        return {"valid_loss": found.loss, **dict.fromkeys(self.more, found.score)}

    def told(self, found: Validation) -> str:
        """For a person who watches."""
        return f"{found.loss:.3f}" + (f"  {self.score.name} {found.score:.2f}" if self.score else "")
