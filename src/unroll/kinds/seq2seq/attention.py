"""Attention: where in the source a decoder state looks.

B batch, T target time, S source time, C sentences of a source, H decoder state, M memory (encoder output), A attention
size, N rows of a state: B, or B T where the second axis is not time but hypotheses side by side.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from unroll.kinds.seq2seq.additive import additive_scores
from unroll.kinds.seq2seq.encoder import Sentences
from unroll.kinds.seq2seq.settings import Seq2SeqSettings

NEVER = -1e30  # in place of -∞, whose differences are no numbers


class Source(NamedTuple):
    """An encoded source: its ids, what the encoder made of them, which are real, and its sentences if they are read."""

    ids_BS: Tensor
    values_BSM: Tensor
    mask_BS: Tensor
    sentences: Sentences | None = None


class Keys(NamedTuple):
    """What an attention matches states with: projected once a source, used at every step."""

    words_BSA: Tensor
    sentences_BCA: Tensor | None = None


class Looked(NamedTuple):
    """What states found: contexts (B, T, M), weights (B, T, S), and what the next step has to know of them (N, S)."""

    context_BTM: Tensor
    weights_BTS: Tensor
    past_NS: Tensor | None


class Score(nn.Module):
    """How well states and memory match.

    additive: v · tanh(W h + U m), Bahdanau et al. (2015). dot: h · m and general: h · W m, Luong et al. (2015).
    """

    def __init__(self, score: Literal["additive", "dot", "general"], query: int, memory: int) -> None:
        super().__init__()
        if score == "dot" and query != memory:
            raise ValueError(f"dot attention needs states and memory of one size, not {query} and {memory}")
        self.score = score
        self.keys = nn.Identity() if score == "dot" else nn.Linear(memory, query, bias=False)
        if score == "additive":
            self.query = nn.Linear(query, query)
            self.energy = nn.Parameter(torch.empty(query).uniform_(-(query**-0.5), query**-0.5))

    def project(self, memory_BSM: Tensor) -> Tensor:
        """Keys (B, S, A) of a source."""
        return self.keys(memory_BSM)  # type: ignore[no-any-return]

    def forward(self, h_BTH: Tensor, keys_BSA: Tensor) -> Tensor:
        """Scores (B, T, S)."""
        if self.score == "additive":
            return additive_scores(self.query(h_BTH), keys_BSA, self.energy)
        return h_BTH @ keys_BSA.transpose(1, 2)


class Attention(nn.Module):
    """Weights of real positions that sum to one, exactly zero at padded ones, and the memory's mean under them.

    What it may know of the steps before, `past`: "coverage" adds w c to the inside of an additive score, c the sum of
    the weights so far (See et al., 2017, equation 11); "temporal" divides exp(score) by its sum over the steps before
    (Nallapati et al., 2016, after Sankaran et al., 2016). With `sentences` weights are multiplied by those of an
    attention to whole sentences, and normalised (Nallapati et al., 2016, section 2.4).
    """

    def __init__(
        self,
        score: Literal["additive", "dot", "general"],
        query: int,
        memory: int,
        past: Literal["coverage", "temporal"] | None = None,
        sentences: bool = False,
    ) -> None:
        super().__init__()
        self.words = Score(score, query, memory)
        self.sentences = Score(score, query, memory) if sentences else None
        self.past = past
        if past == "coverage":
            self.covered = nn.Parameter(torch.zeros(query))

    def project(self, source: Source) -> Keys:
        """The keys of an encoded source."""
        words_BSA = self.words.project(source.values_BSM)
        if self.sentences is None or source.sentences is None:
            return Keys(words_BSA)
        return Keys(words_BSA, self.sentences.project(source.sentences.values_BCM))

    def start(self, source: Source) -> Tensor | None:
        """What a first step knows of the steps before (B, S)."""
        if self.past is None:
            return None
        return torch.full_like(source.values_BSM[:, :, 0], 0.0 if self.past == "coverage" else NEVER)

    def forward(
        self, h_BTH: Tensor, source: Source, keys: Keys, past_NS: Tensor | None = None, beam: bool = False
    ) -> Looked:
        """Where T states look: one after the other, or with `beam` side by side, each with a past of its own."""
        bias_BTS = self._sentence_bias(h_BTH, source, keys)
        mask_B1S = source.mask_BS.unsqueeze(1)
        if past_NS is None:
            weights_BTS = _normalised(self.words(h_BTH, keys.words_BSA) + bias_BTS, mask_B1S)
        elif not beam:
            weights_BTS, past_NS = self._with_past(h_BTH, keys.words_BSA, mask_B1S, bias_BTS, past_NS)
        else:
            B, K = h_BTH.shape[:2]
            keys_NSA, mask_N1S = keys.words_BSA.repeat_interleave(K, 0), mask_B1S.repeat_interleave(K, 0)
            h_N1H, bias_N1S = (x.flatten(0, 1).unsqueeze(1) for x in (h_BTH, bias_BTS))
            weights_N1S, past_NS = self._with_past(h_N1H, keys_NSA, mask_N1S, bias_N1S, past_NS)
            weights_BTS = weights_N1S.view(B, K, -1)
        return Looked(weights_BTS @ source.values_BSM, weights_BTS, past_NS)

    def _sentence_bias(self, h_BTH: Tensor, source: Source, keys: Keys) -> Tensor:
        """The logarithm (B, T, S) of the weight of the sentence that each position is in, 0 if they are not read."""
        if self.sentences is None or source.sentences is None or keys.sentences_BCA is None:
            return h_BTH.new_zeros(()).expand(*h_BTH.shape[:2], source.ids_BS.shape[1])
        scores_BTC = self.sentences(h_BTH, keys.sentences_BCA)
        logs_BTC = scores_BTC.masked_fill(~source.sentences.mask_BC.unsqueeze(1), -torch.inf).log_softmax(-1)
        of_BTS = source.sentences.of_BS.unsqueeze(1).expand(-1, logs_BTC.shape[1], -1)
        return torch.gather(logs_BTC, -1, of_BTS)

    def _with_past(
        self, h_NTH: Tensor, keys_NSA: Tensor, mask_N1S: Tensor, bias_NTS: Tensor, past_NS: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.past == "temporal":
            scores_NTS = self.words(h_NTH, keys_NSA)
            sums_NTS = torch.cat([past_NS.unsqueeze(1), scores_NTS], dim=1).logcumsumexp(1)
            before_NTS = sums_NTS[:, :-1]
            scores_NTS = scores_NTS - before_NTS.masked_fill(before_NTS <= NEVER, 0.0)
            return _normalised(scores_NTS + bias_NTS, mask_N1S), sums_NTS[:, -1]
        weights: list[Tensor] = []
        steps = (torch.split(x, 1, dim=1) for x in (h_NTH, bias_NTS))
        for h_N1H, bias_N1S in zip(*steps, strict=True):
            scores_N1S = self.words(h_N1H, keys_NSA + past_NS.unsqueeze(-1) * self.covered)
            weights.append(_normalised(scores_N1S + bias_N1S, mask_N1S))
            past_NS = past_NS + weights[-1].squeeze(1)
        return torch.cat(weights, dim=1), past_NS


class MultiHeadAttention(nn.Module):
    """Several scaled dot products side by side, each of a part of the state and the memory: Vaswani et al. (2017).

    The weights that it tells of are the mean of its heads.
    """

    def __init__(self, heads: int, query: int, memory: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.keys, self.values = nn.Linear(query, query), nn.Linear(memory, query), nn.Linear(memory, query)
        self.join = nn.Linear(query, memory)

    def project(self, source: Source) -> Keys:
        """Keys, and what is read there behind them (B, S, 2 A)."""
        return Keys(torch.cat([self.keys(source.values_BSM), self.values(source.values_BSM)], dim=-1))

    def start(self, source: Source) -> None:
        """Heads know nothing of the steps before."""

    def forward(
        self, h_BTH: Tensor, source: Source, keys: Keys, past_NS: Tensor | None = None, beam: bool = False
    ) -> Looked:
        """As `Attention.forward`."""
        parts = self.query(h_BTH), *keys.words_BSA.chunk(2, dim=-1)
        query, key, value = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in parts)  # (B, heads, T or S, d)
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        weights = _normalised(scores, source.mask_BS[:, None, None])
        context_BTA = (weights @ value).transpose(1, 2).flatten(2)
        return Looked(self.join(context_BTA), weights.mean(1), None)


def make_attention(settings: Seq2SeqSettings) -> Attention | MultiHeadAttention:
    """The attention of a decoder layer, as `settings` state it."""
    size = settings.hidden
    if settings.attention == "multi-head":
        return MultiHeadAttention(settings.heads, size, size)
    return Attention(settings.attention, size, size, settings.past, settings.sentences)


def _normalised(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, -torch.inf).softmax(-1)
