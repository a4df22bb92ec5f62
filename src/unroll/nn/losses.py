"""Losses as (sum, count), never as means: padding and batching cannot change them.

N positions, D size of the output vectors, V vocabulary.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROWS = 2048  # positions whose logits are held at once outside training


class Loss(NamedTuple):
    """Negative log-likelihoods in nats, summed, and the number of tokens they belong to."""

    nats: Tensor
    tokens: int


def cross_entropy(logits_NV: Tensor, targets_N: Tensor) -> Loss:
    """-log softmax(logits)[target], summed over real positions (padding has been left out before)."""
    logits_NV = logits_NV if logits_NV.dtype == torch.float64 else logits_NV.float()
    return Loss(F.cross_entropy(logits_NV, targets_N, reduction="sum"), targets_N.numel())


def token_nats(output: nn.Linear, h_ND: Tensor, targets_N: Tensor) -> Tensor:
    """-log p of each target (N,) in float64, with the logits of at most `ROWS` positions in memory at once."""
    return torch.cat(
        [
            F.cross_entropy(output(h).double(), targets, reduction="none")
            for h, targets in zip(torch.split(h_ND, ROWS), torch.split(targets_N, ROWS), strict=True)
        ]
    )
