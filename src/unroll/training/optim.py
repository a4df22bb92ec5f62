"""Optimisers, and averages of weights."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from unroll.training.settings import TrainSettings


def make_optimizer(network: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimiser that `settings` name; only matrices decay."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    betas = (settings.beta1, settings.beta2)
    match settings.optimizer:
        case "adam":
            return torch.optim.Adam(groups, lr=settings.lr, betas=betas, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=settings.lr, betas=betas, fused=True)
        case "sgd" | "nt-asgd":
            return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, fused=True)


class Average:
    """The running mean of a network's weights over the updates since it began. Polyak and Juditsky (1992)."""

    def __init__(self, network: nn.Module) -> None:
        self.parameters = list(network.parameters())
        self.means: list[Tensor] = []
        self.count = 0

    @classmethod
    def of(cls, network: nn.Module, weights: Iterable[Mapping[str, Tensor]]) -> "Average":
        """The mean of `weights`, each those of `network` at some time, as `bundle.weights_of` gives them."""
        average = cls(network)
        for one in weights:
            average._take([w.to(p.device) for w, p in zip(one.values(), average.parameters, strict=True)])
        return average

    def add(self) -> None:
        """Take the present weights into the mean."""
        self._take([p.detach() for p in self.parameters])

    def _take(self, weights: list[Tensor]) -> None:
        self.count += 1
        if not self.means:
            self.means = [w.clone() for w in weights]
            return
        torch._foreach_lerp_(self.means, weights, 1 / self.count)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network with its mean weights, for a while; nothing changes if there is no mean yet."""
        if not self.means:
            yield
            return
        present = [p.detach().clone() for p in self.parameters]
        self._put(self.means)
        try:
            yield
        finally:
            self._put(present)

    @torch.no_grad()
    def _put(self, weights: Sequence[Tensor]) -> None:
        for parameter, weight in zip(self.parameters, weights, strict=True):
            parameter.copy_(weight)

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        return {"means": self.means, "count": self.count}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.means, self.count = list(state["means"]), state["count"]
