"""Losses as (sum, count), never as means: padding and batching cannot change them.

N positions, D size of the output vectors, V vocabulary.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unroll.nn.precision import add_product, plus_product, product_type

CHUNK = 256  # positions whose logits are held at once in training
ROWS = 2048  # positions whose logits are held at once outside training
SMALL = 1e-30  # a probability below which single precision loses digits


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
    logp_NV = F.log_softmax(logits_NV, dim=-1)
    nats = F.nll_loss(logp_NV, targets_N, reduction="sum")
    if not smoothing:
        return Loss(nats, targets_N.numel())
    return Loss(nats, targets_N.numel(), smoothing * (-logp_NV.mean(-1).sum() - nats))


def linear_cross_entropy(
    h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor, targets_N: Tensor, smoothing: float = 0.0
) -> Loss:
    """`cross_entropy` of a linear layer's outputs, with the logits of `CHUNK` positions in memory at once.

    The gradient is computed with the loss, while the logits are at hand. With smoothing `nats` has no gradient of its
    own: that of `nats + extra` is all in `extra`.
    """
    total, nats = _LinearCrossEntropy.apply(h_ND, weight_VD, bias_V, targets_N, smoothing)  # type: ignore[no-untyped-call]
    return Loss(nats, len(targets_N), total - nats) if smoothing else Loss(total, len(targets_N))


class _LinearCrossEntropy(torch.autograd.Function):
    """The gradient with respect to logits is softmax - (1 - ε) target - ε / V.

    Under autocast products are narrower; the softmax and all sums are not.
    """

    @staticmethod
    def forward(
        ctx: Any, h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor, targets_N: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        nats, wanted = bias_V.new_zeros(()), bias_V.new_zeros(())
        grads = [torch.zeros_like(x) for x in (h_ND, weight_VD, bias_V)] if any(ctx.needs_input_grad) else []
        narrow = product_type(weight_VD)
        narrow_ND, narrow_VD = h_ND.to(narrow), weight_VD.to(narrow)
        room = bias_V.new_empty(min(CHUNK, len(h_ND)), len(bias_V))
        for start in range(0, len(h_ND), CHUNK):
            h, targets = narrow_ND[start : start + CHUNK], targets_N[start : start + CHUNK].unsqueeze(1)
            logits = plus_product(bias_V, h, narrow_VD.t(), out=room[: len(h)])
            if smoothing:
                wanted += logits.gather(1, targets).sum()
            part, p = _softmax_(logits, targets, partial(_scores, h, narrow_VD, bias_V))
            nats += part
            if grads:
                slope = p.scatter_add_(1, targets, p.new_full(targets.shape, smoothing - 1))
                grads[2] += slope.sum(0)
                slope = slope.to(narrow)
                grads[0][start : start + CHUNK] = slope @ narrow_VD
                add_product(grads[1], slope.t(), h)
        total = nats.clone()
        if smoothing:
            share = smoothing / len(bias_V)
            h_D, weight_D = (x.sum(0, dtype=bias_V.dtype) for x in (narrow_ND, narrow_VD))
            mean = ((h_D * weight_D).sum() + len(h_ND) * bias_V.sum()) / len(bias_V)  # logits, summed over positions
            total += smoothing * (wanted - mean)
            if grads:
                grads[0] -= share * weight_D
                grads[1] -= share * h_D
                grads[2] -= share * len(h_ND)
        ctx.grads = grads
        ctx.mark_non_differentiable(nats)
        return total, nats

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        grads, ctx.grads = ctx.grads, None  # scaled in place, once
        return *(grad.mul_(outer[0]) for grad in grads), None, None


def _scores(h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor, rows: Tensor) -> Tensor:
    return plus_product(bias_V, h_ND[rows], weight_VD.t())


def _softmax_(logits_NV: Tensor, targets_N1: Tensor, again: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Σ -log p[target], and p in the place of the logits; `again` computes those of some rows once more.

    On a CPU p is the faster way to log p; only where p is too small to have a logarithm are logits wanted again. A GPU
    would have to be waited for to know of such rows, and takes the logarithm first.
    """
    if not logits_NV.is_cpu:
        logp_NV = torch.log_softmax(logits_NV, 1, out=logits_NV)  # a row at a time, so in place
        return -logp_NV.gather(1, targets_N1).sum(), logp_NV.exp_()
    p_NV = torch.softmax(logits_NV, 1, out=logits_NV)
    p_N1 = p_NV.gather(1, targets_N1)
    logp_N1 = p_N1.log()
    rows = (p_N1[:, 0] < SMALL).nonzero()[:, 0]
    if len(rows):
        logp_N1[rows] = torch.log_softmax(again(rows), 1).gather(1, targets_N1[rows])
    return -logp_N1.sum(), p_NV


def token_nats(output: nn.Linear, h_ND: Tensor, targets_N: Tensor) -> Tensor:
    """-log p of each target (N,) in float64, with the logits of at most `ROWS` positions in memory at once."""
    return torch.cat(
        [
            F.cross_entropy(output(h).double(), targets, reduction="none")
            for h, targets in zip(torch.split(h_ND, ROWS), torch.split(targets_N, ROWS), strict=True)
        ]
    )
