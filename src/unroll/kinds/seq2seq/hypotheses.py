"""Hypotheses that have ended, and how they are read back from what was chosen step by step.

B sentences, K hypotheses each, E places for those that have ended, M hypotheses to be read, T target time, S source
time.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor


class Found(NamedTuple):
    """A finished hypothesis: tokens without EOS, its score, log P with EOS, attention (T, S) of each token."""

    tokens: list[int]
    score: float
    log_probability: float
    weights_TS: Tensor


class Step(NamedTuple):
    """What one step chose for each hypothesis: the one it continues, its token; and where those before it looked.

    `row_of` is the row of each sentence of the search, while it is part of it.
    """

    parents_BK: Tensor
    ids_BK: Tensor
    weights_BKS: Tensor
    row_of: Tensor


class End(NamedTuple):
    """A hypothesis that has ended: score, log P, tokens without EOS, its place among those side by side."""

    score: float
    log_probability: float
    length: int
    place: int


class Ended(NamedTuple):
    """The first hypotheses of each sentence that have ended, `End` by `End`; the last place is for what comes too late.

    A score of -∞ stands where none has ended.
    """

    scores_BE: Tensor
    logp_BE: Tensor
    lengths_BE: Tensor
    places_BE: Tensor
    counts_B: Tensor

    @classmethod
    def none(cls, sentences: int, most: int, device: torch.device) -> Self:
        """None yet, of `most` a sentence."""
        scores_BE = torch.full((sentences, most + 1), -torch.inf, dtype=torch.float64, device=device)
        whole_BE = torch.zeros((sentences, most + 1), dtype=torch.long, device=device)
        return cls(scores_BE, scores_BE, whole_BE, whole_BE, whole_BE[:, 0])

    def add(self, ending_BC: Tensor, scores_BC: Tensor, logp_BC: Tensor, length: int, places_BC: Tensor) -> "Ended":
        """With those candidates that are `ending_BC`, in their order, of `length` tokens each."""
        most = self.scores_BE.shape[1] - 1
        slots_BC = self.counts_B.unsqueeze(1) + ending_BC.cumsum(1) - 1
        slots_BC = slots_BC.masked_fill(~ending_BC, most).clamp(max=most)
        return Ended(
            self.scores_BE.scatter(1, slots_BC, scores_BC),
            self.logp_BE.scatter(1, slots_BC, logp_BC),
            self.lengths_BE.scatter(1, slots_BC, length),
            self.places_BE.scatter(1, slots_BC, places_BC),
            (self.counts_B + ending_BC.sum(1)).clamp(max=most),
        )

    def worst_of_best(self, count: int) -> Tensor:
        """The score of each sentence's hypothesis number `count`, the best first; -∞ where fewer have ended."""
        return self.scores_BE[:, :-1].topk(count, dim=1).values[:, -1]

    def ranked(self, count: int) -> list[list[End]]:
        """The best `count` of each sentence, the best first; of equal scores the one that ended first."""
        columns = (column_BE.tolist() for column_BE in self[:4])
        ends = (map(End, *row) for row in zip(*columns, strict=True))
        return [
            sorted(list(row)[:ended], key=lambda end: (-end.score, end.length, end.place))[:count]
            for row, ended in zip(ends, self.counts_B.tolist(), strict=True)
        ]


def read_back(steps: Sequence[Step], ends: Sequence[Sequence[End]]) -> list[list[Found]]:
    """Follow each sentence's hypotheses back from their ends to their starts, all side by side."""
    flat = [(sentence, end) for sentence, several in enumerate(ends) for end in several]
    device = steps[0].ids_BK.device
    sentences_M, lengths_M, places_M = (
        torch.tensor(numbers, device=device)
        for numbers in zip(*((sentence, end.length, end.place) for sentence, end in flat), strict=True)
    )
    tokens: list[Tensor] = []
    weights: list[Tensor] = []
    longest = max(end.length for _, end in flat)
    for t in reversed(range(longest)):
        step, there_M = steps[t], lengths_M > t
        rows_M = (step.row_of[sentences_M] * there_M, places_M * there_M)
        tokens.append(step.ids_BK[rows_M])
        places_M = torch.where(there_M, step.parents_BK[rows_M], places_M)
        weights.append(step.weights_BKS[rows_M[0], places_M * there_M])
    nothing_MTS = torch.zeros(len(flat), 0, steps[0].weights_BKS.shape[-1])
    weights_MTS = torch.stack(weights[::-1], dim=1).cpu() if weights else nothing_MTS
    tokens_MT = torch.stack(tokens[::-1], dim=1).tolist() if tokens else [[] for _ in flat]
    found: list[list[Found]] = [[] for _ in ends]
    for (sentence, end), ids, looked_TS in zip(flat, tokens_MT, weights_MTS, strict=True):
        found[sentence].append(Found(ids[: end.length], end.score, end.log_probability, looked_TS[: end.length]))
    return found
