"""The scores of additive attention, v · tanh(q + k), without a pass over memory for each of its operations.

B batch, T target time, S source time, A attention size.
"""

from typing import Any

import torch
from torch import Tensor


def additive_scores(query_BTA: Tensor, keys_BSA: Tensor, v_A: Tensor) -> Tensor:
    """Σ_a v_a tanh(q_bta + k_bsa), (B, T, S): equation in appendix A.1.2 of Bahdanau et al. (2015).

    On the CPU one target position is computed after the other, so that what belongs to it stays in the cache.
    """
    query_BTA, keys_BSA = query_BTA.to(v_A.dtype), keys_BSA.to(v_A.dtype)  # under autocast they may be narrower
    if query_BTA.is_cuda:
        return torch.tanh(query_BTA.unsqueeze(2) + keys_BSA.unsqueeze(1)) @ v_A
    return _Stepwise.apply(query_BTA, keys_BSA, v_A)  # type: ignore[no-any-return, no-untyped-call]


class _Stepwise(torch.autograd.Function):
    """tanh(x) = 1 - 2 r with r = σ(-2 x), which is several times as fast; d tanh / dx = 4 r (1 - r)."""

    @staticmethod
    def forward(ctx: Any, query_BTA: Tensor, keys_BSA: Tensor, v_A: Tensor) -> Tensor:
        time = query_BTA.shape[1]
        batch, source, size = keys_BSA.shape
        twice_BTA, twice_BSA = -2 * query_BTA, -2 * keys_BSA
        kept = any(ctx.needs_input_grad)  # else one target position's place serves all
        r_TBSA = keys_BSA.new_empty(time if kept else 1, batch, source, size)
        sums_TBS = keys_BSA.new_empty(time, batch, source)
        for t in range(time):
            r_BSA = r_TBSA[t if kept else 0]
            torch.add(twice_BSA, twice_BTA[:, t, None], out=r_BSA).sigmoid_()
            torch.matmul(r_BSA, v_A, out=sums_TBS[t])
        ctx.save_for_backward(r_TBSA, v_A)
        return (v_A.sum() - 2 * sums_TBS).transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r_TBSA, v_A = ctx.saved_tensors
        grad_TBS = grads[0].transpose(0, 1).contiguous()
        query_TBA = r_TBSA.new_empty(r_TBSA.shape[0], r_TBSA.shape[1], r_TBSA.shape[3])
        keys_BSA = torch.zeros_like(r_TBSA[0])
        slope_BSA = torch.empty_like(keys_BSA)
        sums_A = torch.zeros_like(v_A)
        for r_BSA, grad_BS, query_BA in zip(r_TBSA, grad_TBS, query_TBA, strict=True):
            sums_A.addmv_(r_BSA.flatten(0, 1).t(), grad_BS.flatten())
            torch.addcmul(r_BSA, r_BSA, r_BSA, value=-1, out=slope_BSA)
            torch.bmm(grad_BS.unsqueeze(1), slope_BSA, out=query_BA.unsqueeze(1))
            keys_BSA.addcmul_(slope_BSA, grad_BS.unsqueeze(-1))
        return 4 * v_A * query_TBA.transpose(0, 1), 4 * v_A * keys_BSA, grad_TBS.sum() - 2 * sums_A
