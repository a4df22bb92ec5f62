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
    extra: Tensor | float = 0.0
    """What training minimises beside `nats`: penalties, summed over the same tokens."""


def cross_entropy(logits_NV: Tensor, targets_N: Tensor, smoothing: float = 0.0) -> Loss:
    """-log softmax(logits)[target], summed over real positions (padding has been left out before).

    With `smoothing` ε the extra is what makes of it the cross-entropy with (1 - ε) target + ε uniform.
    """
    logits_NV = logits_NV if logits_NV.dtype == torch.float64 else logits_NV.float()
    nats = F.cross_entropy(logits_NV, targets_N, reduction="sum")
    if not smoothing:
        return Loss(nats, targets_N.numel())
    smooth = F.cross_entropy(logits_NV, targets_N, reduction="sum", label_smoothing=smoothing)
    return Loss(nats, targets_N.numel(), smooth - nats)


def token_nats(output: nn.Linear, h_ND: Tensor, targets_N: Tensor) -> Tensor:
    """-log p of each target (N,) in float64, with the logits of at most `ROWS` positions in memory at once."""
    return torch.cat(
        [
            F.cross_entropy(output(h).double(), targets, reduction="none")
            for h, targets in zip(torch.split(h_ND, ROWS), torch.split(targets_N, ROWS), strict=True)
        ]
    )
