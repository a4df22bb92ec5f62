"""Beam search and sampling, all sentences of a batch side by side.

B sentences, K hypotheses each, N = B K, V vocabulary, S source time, T target time, C candidates.
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from unroll.kinds.seq2seq.candidates import Candidates, best, drawn
from unroll.kinds.seq2seq.hypotheses import End, Ended, Found, Step, read_back
from unroll.kinds.seq2seq.penalties import bar, coverage_penalty, length_norm
from unroll.kinds.seq2seq.settings import DecodeSettings
from unroll.text.specials import BOS, EOS

State = Any
"""What a decoder hands from step to step: tensors whose first axis is N, or None, in tuples in tuples."""

# On a GPU the program waits for results when it looks which sentences are done; so it looks now and then.
STEPS_ON_GPU = 8
LEAVING = 8  # one sentence in so many has to be done before those that are done leave, since the others are copied


class Stepper(Protocol):
    """A decoder, seen from a search."""

    def __call__(self, ids_BK: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        """One step of every hypothesis of every sentence.

        Log-probabilities (B, K, V), which the search may overwrite, of any V; the next state, of N rows; attention
        weights (B, K, S), zero where a source is padded.
        """

    def keep(self, rows_B: Tensor) -> None:
        """From now on there are but the sentences with these places among those there have been."""


class Sentences(NamedTuple):
    """What a search knows of its sentences beforehand: real positions of the source, tokens a hypothesis may have.

    Sampling needs numbers in [0, 1), one for each token of each hypothesis, the end included.
    """

    real_BS: Tensor
    limits_B: Tensor
    random_BKT: Tensor | None = None


class _Rows(NamedTuple):
    """The sentences that go on, and their hypotheses side by side; log P is -∞ where a hypothesis does not go on."""

    which_B: Tensor
    limits_B: Tensor
    real_BS: Tensor | None
    random_BKT: Tensor | None
    logp_BK: Tensor
    ids_BK: Tensor
    said_BKT: Tensor | None
    covered_BKS: Tensor | None
    ended: Ended


@torch.inference_mode()
def find_hypotheses(
    step: Stepper, state: State, sentences: Sentences, settings: DecodeSettings, count: int
) -> list[list[Found]]:
    """The best `count` hypotheses of each sentence, the best first; `state` has one row a sentence.

    Beam search looks at the K likeliest continuations at each step: those that end are put aside, and the K likeliest
    that do not end go on. Log-probability alone decides what goes on; those put aside are ranked by

        log P / ((5 + length) / 6)^α + β Σ_i log(min(Σ_j p_ij, 1))

    (Wu et al., 2016, equation 14). A sentence is done when K hypotheses have ended, or at its limit, or when none that
    goes on can come among the best `count`: so a beam of one is greedy search. Sampling draws `count` hypotheses, and
    ranks them in the same way.

    What is done leaves the batch; no sentence's result depends on the others. PAD and BOS are never produced, UNK only
    to be replaced.
    """
    search = _Search(step, state, sentences, settings, count)
    last = int(sentences.limits_B.max())
    every = STEPS_ON_GPU if search.device.type == "cuda" else 1
    for length in range(last + 1):
        search.advance(length)
        if length % every == 0 or length == last:
            search.leave()
        if len(search.rows.which_B) == 0:
            break
    return read_back(search.steps, search.found)


class _Search:
    """A search on its way."""

    def __init__(self, step: Stepper, state: State, sentences: Sentences, settings: DecodeSettings, count: int) -> None:
        self.step, self.settings, self.count = step, settings, count
        self.most = settings.beam if settings.sample is None else count
        self.device = next(leaf for leaf in tree_leaves(state) if leaf is not None).device
        B, first = len(sentences.limits_B), 1 if settings.sample is None else count
        self.state = state
        if first > 1:
            self.state = _pick(state, torch.arange(B, device=self.device).repeat_interleave(first))
        self.first_limit = int(sentences.limits_B.min())
        self.rows = self._start(sentences, first)
        self.row_of = self.rows.which_B
        self.steps: list[Step] = []
        self.found: list[list[End]] = [[] for _ in range(B)]

    def _start(self, sentences: Sentences, first: int) -> _Rows:
        """Each sentence with `first` hypotheses that have no token yet."""
        B, device = len(sentences.limits_B), self.device
        covering, repeating = self.settings.coverage_penalty > 0, self.settings.no_repeat_ngram is not None
        return _Rows(
            which_B=torch.arange(B, device=device),
            limits_B=sentences.limits_B.to(device),
            real_BS=sentences.real_BS.to(device) if covering else None,
            random_BKT=None if sentences.random_BKT is None else sentences.random_BKT.to(device),
            logp_BK=torch.zeros((B, first), dtype=torch.float64, device=device),
            ids_BK=torch.full((B, first), BOS, device=device),
            said_BKT=torch.empty((B, first, 0), dtype=torch.long, device=device) if repeating else None,
            covered_BKS=torch.zeros((B, first, sentences.real_BS.shape[1]), device=device) if covering else None,
            ended=Ended.none(B, self.most, device),
        )

    def advance(self, length: int) -> None:
        """One step, for hypotheses of `length` tokens."""
        rows, settings = self.rows, self.settings
        logp_BKV, state, weights_BKS = self.step(rows.ids_BK, self.state)
        full_B = rows.limits_B <= length if length >= self.first_limit else None
        bar(logp_BKV, length, rows.said_BKT, full_B, settings)
        if settings.sample is None:
            candidates = best(logp_BKV, rows.logp_BK, 2 * self.most)
        else:
            assert rows.random_BKT is not None
            candidates = drawn(logp_BKV, rows.logp_BK, rows.random_BKT[..., length], settings.sample)
        covered_BKS = None if rows.covered_BKS is None else rows.covered_BKS + weights_BKS
        rows = rows._replace(covered_BKS=covered_BKS, ended=self._put_aside(candidates, covered_BKS, length))
        going = self._going(candidates)
        B, K = rows.ids_BK.shape
        self.steps.append(Step(going.parents_BC, going.ids_BC, weights_BKS, self.row_of))
        self.state = _pick(state, (going.parents_BC + torch.arange(B, device=self.device).unsqueeze(1) * K).flatten())
        self.rows = _continued(rows, going)

    def _put_aside(self, candidates: Candidates, covered_BKS: Tensor | None, length: int) -> Ended:
        """Also the hypotheses that end now, of the K best candidates."""
        logp_BC, parents_BC, ids_BC = (column_BC[:, : self.most] for column_BC in candidates)
        scores_BC = logp_BC / length_norm(length + 1, self.settings.length_penalty)
        if covered_BKS is not None and self.rows.real_BS is not None:
            penalty_BK = coverage_penalty(covered_BKS, self.rows.real_BS, self.settings.coverage_penalty)
            scores_BC = scores_BC + penalty_BK.gather(1, parents_BC)
        ending_BC = (ids_BC == EOS) & (logp_BC > -torch.inf)
        return self.rows.ended.add(ending_BC, scores_BC, logp_BC, length, parents_BC)

    def _going(self, candidates: Candidates) -> Candidates:
        """The K best candidates that do not end; if there are too few, others with log P of -∞."""
        if candidates.ids_BC.shape[1] > self.most:
            order_BK = (candidates.ids_BC == EOS).long().argsort(dim=1, stable=True)[:, : self.most]
            candidates = Candidates(*(column_BC.gather(1, order_BK) for column_BC in candidates))
        return candidates._replace(logp_BC=candidates.logp_BC.masked_fill(candidates.ids_BC == EOS, -torch.inf))

    def leave(self) -> None:
        """Let go of the sentences that are done, if they are enough, and keep what they have found."""
        done_B = self._done()
        done = int(done_B.sum())
        if done == 0 or done * LEAVING < len(done_B):
            return
        leaving, staying_B = _pick(self.rows, done_B.nonzero().squeeze(1)), (~done_B).nonzero().squeeze(1)
        for sentence, ends in zip(leaving.which_B.tolist(), leaving.ended.ranked(self.count), strict=True):
            self.found[sentence] = ends
        K = self.rows.ids_BK.shape[1]
        self.rows = _pick(self.rows, staying_B)
        if len(staying_B) == 0:
            return
        self.step.keep(staying_B)
        self.state = _pick(self.state, (staying_B.unsqueeze(1) * K + torch.arange(K, device=self.device)).flatten())
        self.first_limit = int(self.rows.limits_B.min())
        self.row_of = torch.zeros_like(self.row_of).scatter(
            0, self.rows.which_B, torch.arange(len(staying_B), device=self.device)
        )

    def _done(self) -> Tensor:
        """Which sentences have found all that they will find (B,).

        No score of what goes on can be above its log P over the norm of the longest hypothesis.
        """
        rows = self.rows
        bounds_B = rows.logp_BK.amax(1) / length_norm(rows.limits_B.double() + 1, self.settings.length_penalty)
        enough_B = rows.ended.worst_of_best(self.count) >= bounds_B
        return enough_B | (rows.ended.counts_B == self.most) | (bounds_B == -torch.inf)


def _continued(rows: _Rows, going: Candidates) -> _Rows:
    """The same sentences with the hypotheses that go on."""
    parents_BK1 = going.parents_BC.unsqueeze(-1)
    said_BKT, covered_BKS = rows.said_BKT, rows.covered_BKS
    if said_BKT is not None:
        before_BKT = said_BKT.gather(1, parents_BK1.expand(-1, -1, said_BKT.shape[-1]))
        said_BKT = torch.cat([before_BKT, going.ids_BC.unsqueeze(-1)], dim=-1)
    if covered_BKS is not None:
        covered_BKS = covered_BKS.gather(1, parents_BK1.expand(-1, -1, covered_BKS.shape[-1]))
    return rows._replace(logp_BK=going.logp_BC, ids_BK=going.ids_BC, said_BKT=said_BKT, covered_BKS=covered_BKS)


def _pick(state: State, rows_N: Tensor) -> State:
    """Some rows of every tensor of `state`."""
    return tree_map(lambda s: s if s is None else s.index_select(0, rows_N), state)
