"""Losses as (sum, count), never as means: padding and batching cannot change them.

N positions, D size of the output vectors, V vocabulary.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unroll.nn.precision import product_type

CHUNK = 384  # positions whose logits are held at once in training
ROWS = 2048  # positions whose logits are held at once outside training
BLOCK = 32  # numbers in a row of a matrix, or a multiple of them, are multiplied fastest
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
        chunk = _even_part(len(h_ND), CHUNK)
        layer = (_Layer if product_type(weight_VD) == bias_V.dtype else _NarrowLayer)(h_ND, weight_VD, bias_V, chunk)
        for start in range(0, len(h_ND), chunk):
            rows = slice(start, start + chunk)
            targets = targets_N[rows].unsqueeze(1)
            logits = layer.logits(rows)
            if smoothing:
                wanted += logits.gather(1, targets).sum()
            part, p = _softmax_(logits, targets, layer, start)
            nats += part
            if grads:
                slope = p.scatter_add_(1, targets, p.new_full(targets.shape, smoothing - 1))
                layer.add_gradients(slope, rows, grads)
        total = nats.clone()
        if smoothing:
            share = smoothing / len(bias_V)
            h_D, weight_D = (x.sum(0, dtype=bias_V.dtype) for x in (h_ND, weight_VD))
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


def _even_part(count: int, most: int) -> int:
    """How large parts of `count` are that have at most `most` each and are about as large."""
    parts = -(-count // most)
    return -(-count // max(parts, 1)) or 1


class _Layer:
    """The linear layer, a chunk of its logits in memory at once."""

    def __init__(self, h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor, chunk: int) -> None:
        self.h_ND, self.weight_VD, self.bias_V = h_ND, weight_VD, bias_V
        self.room = bias_V.new_empty(chunk, len(bias_V))

    def logits(self, rows: slice) -> Tensor:
        """Those of some positions, in memory that the next call uses again."""
        h_ND = self.h_ND[rows]
        return torch.addmm(self.bias_V, h_ND, self.weight_VD.t(), out=self.room[: len(h_ND)])

    def some_logits(self, rows_N: Tensor) -> Tensor:
        """Those of a few positions, in memory of their own."""
        return torch.addmm(self.bias_V, self.h_ND[rows_N], self.weight_VD.t())

    def add_gradients(self, slope_NV: Tensor, rows: slice, grads: list[Tensor]) -> None:
        """To those of h, the weights and the bias what the gradient of the logits of some positions makes of them."""
        grads[0][rows] = slope_NV @ self.weight_VD
        grads[1].addmm_(slope_NV.t(), self.h_ND[rows])
        grads[2] += slope_NV.sum(0)


class _NarrowLayer:
    """The same with products in a narrower type.

    The bias is one more column of the weights, and h has a 1 there: what is computed element by element, longer than
    the products, has one pass less over the logits on the way forward and one on the way back.
    """

    def __init__(self, h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor, chunk: int) -> None:
        self.width = weight_VD.shape[1]
        narrow = product_type(weight_VD)
        self.weight_VC = _with_column(weight_VD, bias_V, narrow)
        self.h_NC = _with_column(h_ND, 1.0, narrow)
        self.room = bias_V.new_empty(chunk, len(bias_V))
        self.narrow_room = self.weight_VC.new_empty(chunk, len(bias_V))

    def logits(self, rows: slice) -> Tensor:
        """As `_Layer.logits`."""
        h_NC = self.h_NC[rows]
        return self.room[: len(h_NC)].copy_(torch.mm(h_NC, self.weight_VC.t(), out=self.narrow_room[: len(h_NC)]))

    def some_logits(self, rows_N: Tensor) -> Tensor:
        """As `_Layer.some_logits`."""
        return (self.h_NC[rows_N] @ self.weight_VC.t()).to(self.room.dtype)

    def add_gradients(self, slope_NV: Tensor, rows: slice, grads: list[Tensor]) -> None:
        """As `_Layer.add_gradients`."""
        narrow_NV = self.narrow_room[: len(slope_NV)].copy_(slope_NV)
        grads[0][rows] = (narrow_NV @ self.weight_VC)[:, : self.width]
        grad_VC = narrow_NV.t() @ self.h_NC[rows]
        grads[1] += grad_VC[:, : self.width]
        grads[2] += grad_VC[:, self.width]


def _with_column(x_ND: Tensor, last: Tensor | float, dtype: torch.dtype) -> Tensor:
    """(N, C): D columns, one more, and zeros up to a multiple of `BLOCK`."""
    n, width = x_ND.shape
    wide_NC = x_ND.new_empty(n, (width // BLOCK + 1) * BLOCK, dtype=dtype)
    wide_NC[:, :width], wide_NC[:, width], wide_NC[:, width + 1 :] = x_ND, last, 0
    return wide_NC


def _softmax_(logits_NV: Tensor, targets_N1: Tensor, layer: _Layer | _NarrowLayer, start: int) -> tuple[Tensor, Tensor]:
    """Σ -log p[target], and p in the place of the logits, whose first row is `start`; `layer` computes some again.

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
        logp_N1[rows] = torch.log_softmax(layer.some_logits(start + rows), 1).gather(1, targets_N1[rows])
    return -logp_N1.sum(), p_NV


def token_nats(output: nn.Linear, h_ND: Tensor, targets_N: Tensor) -> Tensor:
    """-log p of each target (N,) in float64, with the logits of at most `ROWS` positions in memory at once."""
    return torch.cat(
        [
            F.cross_entropy(output(h).double(), targets, reduction="none")
            for h, targets in zip(torch.split(h_ND, ROWS), torch.split(targets_N, ROWS), strict=True)
        ]
    )
