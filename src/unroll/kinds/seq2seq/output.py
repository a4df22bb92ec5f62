"""From what the decoder has read to probabilities of tokens: of the vocabulary, and of words of the source.

B batch, T target time, S source time, D what the output layer reads, V vocabulary, N real positions, C candidates.

A token of the source that is not in the vocabulary has an id of its own, at least V; where a pointer may copy it, the
tokens that can be produced are V and these.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unroll.kinds.seq2seq.attention import Attention, Source
from unroll.kinds.seq2seq.settings import Seq2SeqSettings
from unroll.nn.losses import Loss, cross_entropy, linear_cross_entropy
from unroll.text.specials import SPECIALS, UNK


class Copies(NamedTuple):
    """How likely it is to write (gate, a logit) rather than to copy, and the weights of what would be copied."""

    gate_BT1: Tensor
    weights_BTS: Tensor


class Reach(NamedTuple):
    """What can be written of a source: tokens of V (None: all), and so many beyond V as copied logits of -∞."""

    allowed_BV: Tensor | None
    beyond_BX: Tensor


class Output(nn.Module):
    """A linear layer over the vocabulary, and a pointer to the source if `settings.pointer` asks for one.

    mixture: p = σ(g) softmax(W r) + (1 - σ(g)) attention, the gate g linear in what the layer reads; See et al. (2017).
    switch: an attention of its own points, and training is told which way to take: to write what is in the vocabulary,
    to copy what is not but in the source; Nallapati et al. (2016), section 2.3.

    With `candidates` training computes the softmax over so many tokens alone: those of the batch's sources and the most
    frequent (the large-vocabulary trick of Jean et al., 2015, as in Nallapati et al., 2016, section 2.1), other targets
    counting as unknown; and each source has its own at decoding.
    """

    def __init__(self, settings: Seq2SeqSettings, width: int, vocabulary: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, vocabulary)
        nn.init.zeros_(self.linear.bias)
        self.gate = nn.Linear(width, 1) if settings.pointer else None
        self.pointer = Attention("additive", width, settings.hidden) if settings.pointer == "switch" else None
        self.candidates = settings.candidates

    def copies(self, read_BTD: Tensor, weights_BTS: Tensor, source: Source) -> Copies | None:
        """Gate and weights of the pointer; None without one. `weights_BTS` are those of the last attention."""
        if self.gate is None:
            return None
        if self.pointer is not None:
            weights_BTS = self.pointer(read_BTD, source, self.pointer.project(source)).weights_BTS
        return Copies(self.gate(read_BTD), weights_BTS)

    def reach(self, source: Source) -> Reach:
        """What `log_probabilities` needs to know of a source, the same at every step."""
        allowed_BV = None if self.candidates is None else self.candidates_of(source.ids_BS.unsqueeze(1))
        beyond = 0 if self.gate is None else max(0, int(source.ids_BS.max()) + 1 - self.linear.out_features)
        return Reach(allowed_BV, self.linear.bias.new_full((len(source.ids_BS), beyond), -torch.inf))

    def log_probabilities(self, read_BTD: Tensor, weights_BTS: Tensor, source: Source, reach: Reach) -> Tensor:
        """log p of every token at every position: (B, T, V), or more where the sources have tokens beyond V."""
        logits_BTV: Tensor = self.linear(read_BTD)
        if reach.allowed_BV is not None:
            logits_BTV = logits_BTV.masked_fill(~reach.allowed_BV.unsqueeze(1), -torch.inf)
        logp_BTV = logits_BTV.log_softmax(-1)
        copies = self.copies(read_BTD, weights_BTS, source)
        if copies is None:
            return logp_BTV
        beyond_BTX = reach.beyond_BX.unsqueeze(1).expand(-1, logp_BTV.shape[1], -1)
        logp_BTV = torch.cat([logp_BTV, beyond_BTX], dim=-1)
        ids_BTS = source.ids_BS.unsqueeze(1).expand_as(copies.weights_BTS)
        copied_BTV = torch.zeros_like(logp_BTV).scatter_add(-1, ids_BTS, copies.weights_BTS)
        return _mixed(logp_BTV, copied_BTV, copies.gate_BT1)

    def candidates_of(self, ids_BTS: Tensor) -> Tensor:
        """True (B, V) for tokens among each row's ids (B, T, S), and for the most frequent others, `candidates` in all.

        Vocabularies are in the order of frequency, special tokens first; these are always in.
        """
        size = self.linear.out_features
        assert self.candidates is not None
        known_BX = ids_BTS.flatten(1).masked_fill(ids_BTS.flatten(1) >= size, UNK)
        chosen_BV = torch.zeros(len(ids_BTS), size, dtype=torch.bool, device=ids_BTS.device).scatter_(1, known_BX, True)
        chosen_BV[:, : len(SPECIALS)] = True
        room_B1 = self.candidates - chosen_BV.sum(1, keepdim=True)
        return chosen_BV | ((~chosen_BV).cumsum(1) <= room_B1)

    def loss(
        self,
        read_BTD: Tensor,
        weights_BTS: Tensor,
        source: Source,
        targets_BT: Tensor,
        real_N: Tensor,
        smoothing: float = 0.0,
        coverage: float = 0.0,
    ) -> Loss:
        """-log p of the targets at the places `real_N`: the values of `log_probabilities`, without the memory for all.

        A target beyond V that a pointer finds nowhere in the source counts as unknown. What training minimises beside:
        smoothing, the switch's choice, and `coverage` times Σ min(attention, what attention has covered), equation 12
        of See et al. (2017).
        """
        read_ND, targets_N = read_BTD.flatten(0, 1)[real_N], targets_BT.flatten()[real_N]
        unknown_N = targets_N >= self.linear.out_features
        weight, bias, written_N = self._layer(targets_N.masked_fill(unknown_N, UNK), source)
        copies = self.copies(read_BTD, weights_BTS, source)
        if copies is None:
            loss = linear_cross_entropy(read_ND, weight, bias, written_N, smoothing)
        else:
            logits = F.linear(read_ND, weight, bias)
            loss = cross_entropy(logits, written_N, smoothing)
            same_BTS = source.ids_BS.unsqueeze(1) == targets_BT.unsqueeze(-1)
            copied_N = (copies.weights_BTS * same_BTS).sum(-1).flatten()[real_N]
            gate_N = copies.gate_BT1.flatten()[real_N]
            loss = self._pointed(logits, written_N, unknown_N, copied_N, gate_N, loss, smoothing)
        if coverage:
            covered_BTS = weights_BTS.cumsum(1) - weights_BTS
            twice_N = torch.minimum(weights_BTS, covered_BTS).sum(-1).flatten()[real_N]
            loss = loss._replace(extra=loss.extra + coverage * twice_N.sum())
        return loss

    def _layer(self, written_N: Tensor, source: Source) -> tuple[Tensor, Tensor, Tensor]:
        """Weights and biases of the whole vocabulary, or in training of candidates, and the targets' places there."""
        if self.candidates is None or not self.training:
            return self.linear.weight, self.linear.bias, written_N
        chosen_C = self.candidates_of(source.ids_BS.unsqueeze(0)).squeeze(0).nonzero().squeeze(1)
        place_V = torch.full_like(self.linear.bias, UNK, dtype=torch.long)  # special tokens keep their places
        place_V[chosen_C] = torch.arange(len(chosen_C), device=place_V.device)
        return self.linear.weight[chosen_C], self.linear.bias[chosen_C], place_V[written_N]

    def _pointed(
        self,
        logits: Tensor,
        written_N: Tensor,
        unknown_N: Tensor,
        copied_N: Tensor,
        gate_N: Tensor,
        loss: Loss,
        smoothing: float,
    ) -> Loss:
        """The loss of writing or copying, from that of writing alone.

        With smoothing ε training minimises (1 - ε) times it and ε times writing any token alike.
        """
        written_nats_N = F.cross_entropy(logits, written_N, reduction="none")
        # What can be copied alone is not written as unknown.
        only_copied_N = unknown_N & (copied_N > 0)
        nats_N = -_mixed(-written_nats_N.masked_fill(only_copied_N, torch.inf), copied_N, gate_N)
        extra = loss.extra
        if smoothing:
            # Takes back what `loss` has for not writing a target: where it is copied, that would pay without bound.
            extra = extra + smoothing * (written_nats_N - nats_N).sum()
        if self.pointer is not None and self.training:
            copying_N = F.softplus(gate_N) - _safe_log(copied_N)
            told_N = torch.where(only_copied_N, copying_N, F.softplus(-gate_N) + written_nats_N)
            extra = extra + (1 - smoothing) * (told_N - nats_N).sum()
        return Loss(nats_N.sum(), loss.tokens, extra)


def _mixed(written: Tensor, copied: Tensor, gate: Tensor) -> Tensor:
    """log(σ(gate) exp(written) + (1 - σ(gate)) copied), with finite gradients where a part is zero."""
    return torch.logaddexp(F.logsigmoid(gate) + written, F.logsigmoid(-gate) + _safe_log(copied))


def _safe_log(p: Tensor) -> Tensor:
    """The logarithm, of the least positive number in place of zero, whose logarithm has no gradient."""
    return p.clamp(min=torch.finfo(p.dtype).tiny).log()
