"""Beam search, all sentences of a batch side by side.

B sentences, K hypotheses each (the beam), N = B K, V vocabulary, S source time.
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from unroll.kinds.seq2seq.settings import DecodeSettings
from unroll.text.specials import BOS, EOS, PAD, UNK

State = Any
"""What a decoder hands from step to step: tensors whose first axis is N, or None, in tuples in tuples."""


class Stepper(Protocol):
    """One step of a decoder for every hypothesis of every sentence."""

    def __call__(self, ids_BK: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        """Log-probabilities (B, K, V), the next state (rows N), and attention weights (B, K, S)."""


class Found(NamedTuple):
    """A finished hypothesis: tokens without EOS, normalised score, attention (T, S) of each token."""

    tokens: list[int]
    score: float
    weights_TS: Tensor


class _Step(NamedTuple):
    """What one step chose: for each hypothesis the one it continues, its token; and where each looked."""

    parent_BK: Tensor
    token_BK: Tensor
    weights_BKS: Tensor


class _End(NamedTuple):
    """Where a finished hypothesis ends: its score, its length and its place in the beam."""

    score: float
    length: int
    place: int


def length_norm(length: int, alpha: float) -> float:
    """((5 + length) / 6)^α, equation 14 of Wu et al. (2016); the length counts EOS."""
    return float(((5 + length) / 6) ** alpha)


@torch.inference_mode()
def beam_search(step: Stepper, state: State, limits_B: Tensor, settings: DecodeSettings) -> list[list[Found]]:
    """The hypotheses found for each sentence, best first, at most `settings.beam`.

    `state` has one row a sentence. At each step the K best continuations are looked at: those that end are put
    aside, and the K best that do not end go on. A sentence is done when K hypotheses have ended, or at
    `limits_B` tokens; so a beam of one is greedy search, and a sentence's result does not depend on its
    neighbours. PAD, BOS and UNK are never produced. Of equal scores the first hypothesis and lowest id win.
    """
    B, K = len(limits_B), settings.beam
    device = next(leaf for leaf in tree_leaves(state) if leaf is not None).device
    limits_B = limits_B.to(device)
    state = _pick(state, torch.arange(B, device=device).repeat_interleave(K))
    scores_BK = torch.full((B, K), -torch.inf, dtype=torch.float64, device=device)
    scores_BK[:, 0] = 0
    ids_BK = torch.full((B, K), BOS, device=device)
    steps: list[_Step] = []
    ended: list[list[_End]] = [[] for _ in range(B)]
    for length in range(int(limits_B.max()) + 1):
        logp_BKV, state, weights_BKS = step(ids_BK, state)
        logp_BKV = _allowed(logp_BKV.double(), limits_B <= length)
        V = logp_BKV.shape[-1]
        scores_BC, places_BC = _top((scores_BK.unsqueeze(-1) + logp_BKV).flatten(1), 2 * K)
        parents_BC, ids_BC = places_BC // V, places_BC % V
        norm = length_norm(length + 1, settings.length_penalty)
        _collect(ended, (scores_BC / norm)[:, :K], ids_BC, parents_BC, length)
        if all(len(ends) == K or length >= limit for ends, limit in zip(ended, limits_B.tolist(), strict=True)):
            steps.append(_Step(parents_BC, ids_BC, weights_BKS))
            break
        going_BK = (ids_BC == EOS).long().argsort(dim=1, stable=True)[:, :K]
        parents_BK, ids_BK = parents_BC.gather(1, going_BK), ids_BC.gather(1, going_BK)
        scores_BK = scores_BC.gather(1, going_BK).masked_fill(ids_BK == EOS, -torch.inf)
        steps.append(_Step(parents_BK, ids_BK, weights_BKS))
        state = _pick(state, (parents_BK + torch.arange(B, device=device).unsqueeze(1) * K).flatten())
    return [[_trace(steps, b, end) for end in sorted(ended[b], key=_best_first)] for b in range(B)]


def _best_first(end: _End) -> tuple[float, int, int]:
    return -end.score, end.length, end.place


def _pick(state: State, rows_N: Tensor) -> State:
    return tree_map(lambda s: s if s is None else s.index_select(0, rows_N), state)


def _allowed(logp_BKV: Tensor, full_B: Tensor) -> Tensor:
    """No special token but EOS, and nothing but EOS where a sentence has reached its limit."""
    logp_BKV[..., [PAD, BOS, UNK]] = -torch.inf
    ends_BK = logp_BKV[..., EOS].clone()
    logp_BKV.masked_fill_(full_B.view(-1, 1, 1), -torch.inf)
    logp_BKV[..., EOS] = ends_BK
    return logp_BKV


def _top(scores_BX: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` best of each row, best first; of equal scores the first."""
    values, places = scores_BX.topk(min(count, scores_BX.shape[1]), dim=-1)
    order = places.argsort(dim=-1)
    values, places = values.gather(1, order), places.gather(1, order)
    order = values.argsort(dim=-1, descending=True, stable=True)
    return values.gather(1, order), places.gather(1, order)


def _collect(ended: list[list[_End]], scores_BK: Tensor, ids_BC: Tensor, parents_BC: Tensor, length: int) -> None:
    """Put aside the hypotheses that end now, of sentences that have fewer than K yet."""
    beam = scores_BK.shape[1]
    ending_BK = (ids_BC[:, :beam] == EOS) & (scores_BK > -torch.inf)
    for b, c in ending_BK.nonzero().tolist():
        if len(ended[b]) < beam:
            ended[b].append(_End(float(scores_BK[b, c]), length, int(parents_BC[b, c])))


def _trace(steps: list[_Step], b: int, end: _End) -> Found:
    """Follow a hypothesis back from its end to its start."""
    tokens: list[int] = []
    weights: list[Tensor] = []
    place = end.place
    for step in reversed(steps[: end.length]):
        tokens.append(int(step.token_BK[b, place]))
        place = int(step.parent_BK[b, place])
        weights.append(step.weights_BKS[b, place])
    nowhere = steps[0].weights_BKS[b, :0]
    return Found(tokens[::-1], end.score, torch.stack(weights[::-1]) if weights else nowhere)
