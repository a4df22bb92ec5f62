"""Which validations were the best so far, and the weights at each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from unroll.training.validation import Validation


@dataclass
class Best(Validation):
    """One of the best validations, and the weights it was of."""

    step: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    averaged: list[int] = field(default_factory=list)
    """Steps whose weights these are the mean of; empty if they are those of `step`."""


class Ranking:
    """The `size` best validations so far; of equal ones the earlier is the better."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[Best] = []
        self.misses = 0
        """Validations since the best one."""

    @property
    def best(self) -> Best:
        """The best validation; without weights if none had a finite loss."""
        return self.kept[0] if self.kept else Best()

    def add(self, found: Validation, step: int, weights: Callable[[], dict[str, Tensor]]) -> bool:
        """Whether `found` is the best of all; `weights` are asked for if it is one of those that are kept."""
        better = found.rank < self.best.rank
        self.misses = 0 if better else self.misses + 1
        worst = self.kept[-1] if len(self.kept) == self.size else Best()
        if found.rank < worst.rank:
            self.kept = [*self.kept, Best(found.loss, found.score, step, weights())]
            self.kept = sorted(self.kept, key=lambda best: best.rank)[: self.size]
        return better

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        return {"kept": [vars(best) for best in self.kept], "misses": self.misses}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.kept, self.misses = [Best(**best) for best in state["kept"]], state["misses"]
