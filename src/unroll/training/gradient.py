"""Gradients of one update, as one process has them of its parts of the batches."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unroll.nn.precision import Precision, products_in
from unroll.training.task import Task


class Computed(NamedTuple):
    """What came of some batches."""

    nats: Tensor
    """Their summed loss."""
    tokens: int
    divisor: int
    """Gradients are of the loss over this number; 0 if there are none."""
    carry: Any
    """What they hand on."""


def backward(task: Task, batches: Sequence[Any], carry: Any, precision: Precision, device: torch.device) -> Computed:
    """Compute the gradients of `batches`, of which some may be other processes' alone (None).

    The tokens of all are known at the last: until then, losses are divided by those of the first.
    """
    nats = torch.zeros((), dtype=torch.float64, device=device)
    tokens = divisor = 0
    for batch in batches:
        if batch is None:
            continue
        with products_in(precision, device):
            loss, carry = task.loss(batch, carry)
        nats += loss.nats.detach()
        tokens += loss.tokens
        divisor = divisor or max(1, loss.tokens)
        ((loss.nats + loss.extra) / divisor).backward()  # type: ignore[no-untyped-call]
    return Computed(nats, tokens, divisor, carry)


def scale_gradients(network: nn.Module, factor: float) -> None:
    """Multiply every gradient by `factor`."""
    torch._foreach_mul_([p.grad for p in network.parameters() if p.grad is not None], factor)


def has_gradient(network: nn.Module) -> list[bool]:
    """Of each parameter, whether it has a gradient: not one that nothing was computed with."""
    return [p.grad is not None for p in network.parameters()]


def gradients(network: nn.Module, wanted: Iterable[float]) -> list[Tensor]:
    """The gradients of the parameters that are `wanted`; what has none has one of zeros from now on."""
    found = []
    for parameter, is_wanted in zip(network.parameters(), wanted, strict=True):
        if is_wanted:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            found.append(parameter.grad)
    return found
