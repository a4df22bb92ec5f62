"""Continuations of hypotheses: the best ones, for beam search, or drawn ones.

B sentences, K hypotheses each, V vocabulary, C candidates, N blocks of a vocabulary, X blocks looked at, L tokens of
a block.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from unroll.kinds.seq2seq.settings import SampleSettings


class Candidates(NamedTuple):
    """Log-probabilities of continued hypotheses, the hypotheses that they continue, and their new tokens."""

    logp_BC: Tensor
    parents_BC: Tensor
    ids_BC: Tensor


def best(logp_BKV: Tensor, before_BK: Tensor, count: int) -> Candidates:
    """The `count` likeliest continuations of each sentence's hypotheses, or all if there are fewer, the best first.

    Of equal ones the first hypothesis and lowest id come first. They all lie in the `count` blocks of tokens whose
    maxima are largest, so that sorting does not look at the whole vocabulary.
    """
    size = math.isqrt(logp_BKV.shape[-1])
    blocks_BKN = before_BK.unsqueeze(-1) + _maxima(logp_BKV, size).double()
    N = blocks_BKN.shape[-1]
    chosen_BX = blocks_BKN.flatten(1).topk(min(count, blocks_BKN[0].numel()), sorted=False).indices
    parents_BX = chosen_BX // N
    ids_BXL = (chosen_BX % N * size).unsqueeze(-1) + torch.arange(size, device=chosen_BX.device)
    return _sorted(
        logp_BKV, before_BK, parents_BX.unsqueeze(-1).expand_as(ids_BXL).flatten(1), ids_BXL.flatten(1), count
    )


def _maxima(logp_BKV: Tensor, size: int) -> Tensor:
    """The maxima (B, K, N) of blocks of `size` tokens; the last block may have fewer."""
    V = logp_BKV.shape[-1]
    maxima_BKN = logp_BKV.unfold(-1, size, size).amax(-1)
    if V % size == 0:
        return maxima_BKN
    return torch.cat([maxima_BKN, logp_BKV[..., V // size * size :].amax(-1, keepdim=True)], dim=-1)


def _sorted(logp_BKV: Tensor, before_BK: Tensor, parents_BC: Tensor, ids_BC: Tensor, count: int) -> Candidates:
    """The best `count` of some continuations, whose ids may be beyond the vocabulary."""
    V = logp_BKV.shape[-1]
    places_BC = parents_BC * V + ids_BC.clamp(max=V - 1)
    logp_BC = before_BK.gather(1, parents_BC) + logp_BKV.flatten(1).gather(1, places_BC).double()
    logp_BC = logp_BC.masked_fill(ids_BC >= V, -torch.inf)
    logp_BC, chosen_BC = logp_BC.topk(min(count, before_BK.shape[1] * V, logp_BC.shape[1]), sorted=False)
    places_BC, order_BC = places_BC.gather(1, chosen_BC).sort()
    logp_BC, best_BC = logp_BC.gather(1, order_BC).sort(descending=True, stable=True)
    places_BC = places_BC.gather(1, best_BC)
    return Candidates(logp_BC, places_BC // V, places_BC % V)


def drawn(logp_BKV: Tensor, before_BK: Tensor, random_BK: Tensor, sample: SampleSettings) -> Candidates:
    """One continuation of each hypothesis, by inverting the distribution function at `random_BK` in [0, 1)."""
    logits_BKV = logp_BKV.double() / sample.temperature
    ids_BKV = None
    if sample.top_k is not None or sample.top_p is not None:
        V = logits_BKV.shape[-1]
        logits_BKV, ids_BKV = logits_BKV.topk(V if sample.top_k is None else min(sample.top_k, V))
    p_BKV = logits_BKV.softmax(-1)
    if sample.top_p is not None:
        p_BKV = p_BKV.masked_fill(p_BKV.cumsum(-1) - p_BKV >= sample.top_p, 0)
    sums_BKV = p_BKV.cumsum(-1)
    drawn_BK1 = torch.searchsorted(sums_BKV, random_BK.unsqueeze(-1) * sums_BKV[..., -1:], right=True)
    drawn_BK1 = drawn_BK1 if ids_BKV is None else ids_BKV.gather(-1, drawn_BK1)
    logp_BK = before_BK + logp_BKV.gather(-1, drawn_BK1).squeeze(-1).double()
    parents_BK = torch.arange(logp_BK.shape[1], device=logp_BK.device).expand_as(logp_BK)
    return Candidates(logp_BK, parents_BK, drawn_BK1.squeeze(-1))
