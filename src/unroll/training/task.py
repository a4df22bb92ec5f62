"""What a kind of model that is trained by gradient gives the loop."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from torch import nn

from unroll.nn.losses import Loss
from unroll.text.batches import Part


class Task(Protocol):
    """A network on its data."""

    network: nn.Module
    progress: float
    """The share of the budget that training has spent, which the loop keeps up to date."""
    part: Part
    """The share of each batch that this process has, which the loop sets."""

    def epoch_steps(self) -> int:
        """Batches of an epoch."""

    def batches(self, order: np.random.Generator) -> Iterator[Any]:
        """This process's share of one epoch of training batches, on the device; None where it has nothing of a batch.
        `order` decides all that is random about them, and is the same in all processes."""

    def valid_batches(self) -> Iterator[Any]:
        """This process's share of the validation split, always the same way."""

    def loss(self, batch: Any, carry: Any) -> tuple[Loss, Any]:
        """The summed loss of a batch; `carry` is what the batch before it handed on, None at the start."""
