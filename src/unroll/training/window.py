"""What training has seen since the last row of its history."""

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from unroll.nn.losses import Loss


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
        self.loss += loss.nats
        self.tokens += loss.tokens
        self.norm += norm
        if clip is not None:
            self.clipped += norm > clip
        self.updates += 1

    def means(self) -> dict[str, float | None]:
        """Loss a token, and norm and share of clipped gradients an update; None where nothing was seen."""
        if not self.updates:
            return {"train_loss": None, "grad_norm": None, "clipped": None}
        return {
            "train_loss": float(self.loss) / self.tokens,
            "grad_norm": float(self.norm) / self.updates,
            "clipped": float(self.clipped) / self.updates,
        }

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        names = ("loss", "norm", "clipped", "tokens", "updates")
        return {name: getattr(self, name) for name in names} | {"seconds": time.perf_counter() - self.started}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.started = time.perf_counter() - state["seconds"]
        for name in ("loss", "norm", "clipped", "tokens", "updates"):
            setattr(self, name, state[name])
