"""What a hypothesis must not say, how long it may be, and how those of different lengths compare.

B sentences, K hypotheses each, V vocabulary, S source time, T target time.
"""

from typing import TypeVar

import torch
from torch import Tensor

from unroll.kinds.seq2seq.settings import DecodeSettings
from unroll.text.specials import BOS, EOS, PAD, UNK

EXTRA = 10  # tokens that a hypothesis may have beyond `max_ratio` times its source


Length = TypeVar("Length", float, Tensor)


def limits(lengths_B: Tensor, settings: DecodeSettings) -> Tensor:
    """How many tokens a hypothesis may have (B,), its end not counted, for sources of `lengths_B` with their ends."""
    limits_B = (lengths_B.double() * settings.max_ratio).long() + EXTRA
    return limits_B.clamp(min=settings.min_length, max=settings.max_length)


def length_norm(length: Length, alpha: float) -> Length:
    """((5 + length) / 6)^α, equation 14 of Wu et al. (2016); the length counts EOS."""
    norm: Length = ((5 + length) / 6) ** alpha
    return norm


def coverage_penalty(covered_BKS: Tensor, real_BS: Tensor, beta: float) -> Tensor:
    """β Σ_i log(min(c_i, 1)) of each hypothesis (B, K), equation 14 of Wu et al. (2016).

    c_i is the attention that real position i has got, from all tokens and the end of the hypothesis; at least the least
    positive number, whose logarithm is finite.
    """
    logs_BKS = covered_BKS.clamp(torch.finfo(covered_BKS.dtype).tiny, 1.0).log().double()
    return beta * (logs_BKS * real_BS.unsqueeze(1)).sum(-1)


def bar(
    logp_BKV: Tensor, length: int, said_BKT: Tensor | None, full_B: Tensor | None, settings: DecodeSettings
) -> None:
    """Make impossible, in place, what hypotheses of `length` tokens must not say next.

    That is special tokens (but EOS, and UNK if it is replaced), EOS before `min_length`, and what would repeat an
    n-gram of `said_BKT`. Where a sentence is full, or nothing is left to be said, EOS alone is possible.
    """
    logp_BKV[..., [PAD, BOS] if settings.replace_unknown else [PAD, BOS, UNK]] = -torch.inf
    end_BK = logp_BKV[..., EOS].clone()
    if length < settings.min_length:
        logp_BKV[..., EOS] = -torch.inf
    if said_BKT is not None and settings.no_repeat_ngram is not None:
        bar_repeats(logp_BKV, said_BKT, settings.no_repeat_ngram)
    only_end_BK = None if full_B is None else full_B.unsqueeze(1)
    if length < settings.min_length and settings.no_repeat_ngram is not None:
        stuck_BK = logp_BKV.amax(-1) == -torch.inf
        only_end_BK = stuck_BK if only_end_BK is None else only_end_BK | stuck_BK
    if only_end_BK is not None:
        logp_BKV.masked_fill_(only_end_BK.unsqueeze(-1), -torch.inf)
        logp_BKV[..., EOS] = torch.where(only_end_BK, end_BK, logp_BKV[..., EOS])


def bar_repeats(logp_BKV: Tensor, said_BKT: Tensor, n: int) -> None:
    """Make impossible, in place, each token that followed an earlier occurrence of the last n - 1 tokens."""
    time = said_BKT.shape[-1]
    if time < n:
        return
    windows_BKWn = said_BKT.unfold(-1, n, 1)
    same_BKW = (windows_BKWn[..., :-1] == said_BKT[..., None, time - n + 1 :]).all(-1)
    most_BKW = torch.where(same_BKW, -torch.inf, torch.inf).to(logp_BKV.dtype)
    logp_BKV.scatter_reduce_(-1, windows_BKWn[..., -1], most_BKW, "amin")
