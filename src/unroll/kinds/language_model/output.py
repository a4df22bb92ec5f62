"""From what a language model has read to probabilities of the next token, and to losses.

N positions, D what the layer reads, V vocabulary, C candidates, K positions of a cluster. Targets are given on the CPU:
what is to be known of them is known there, and nothing waits for a GPU.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unroll.errors import UserError
from unroll.kinds.language_model.settings import LanguageModelSettings
from unroll.nn.losses import Loss, linear_cross_entropy, token_nats

SHRINK = 4  # the vectors of each cluster are so many times smaller than those of the one before


class Softmax(nn.Linear):
    """A score of every token, linear in what is read."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__(width, vocabulary)
        nn.init.zeros_(self.bias)

    def log_probabilities(self, read: Tensor) -> Tensor:
        """log p (..., V) of every token; the scores that the layer itself gives differ from them by a constant."""
        scores: Tensor = self(read)
        return scores.log_softmax(-1)

    def token_nats(self, read_ND: Tensor, targets_N: Tensor) -> Tensor:
        """-log p (N,) of each target in float64."""
        return token_nats(self, read_ND, targets_N.to(read_ND.device))

    def loss(self, read_ND: Tensor, targets_N: Tensor, smoothing: float = 0.0, draws: int | None = None) -> Loss:
        """-log p of the targets, summed; with `draws` that of a sampled softmax in its place."""
        if draws is not None:
            return sampled_cross_entropy(read_ND, self.weight, self.bias, targets_N, draws)
        targets_N = targets_N.to(read_ND.device, non_blocking=True)
        return linear_cross_entropy(read_ND, self.weight, self.bias, targets_N, smoothing)


def sampled_cross_entropy(h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor, targets_N: Tensor, draws: int) -> Loss:
    """The cross-entropy of each target among itself and tokens drawn for all positions together.

    Jean et al. (2015), after Bengio and Senécal (2008). Tokens come in the order of frequency, and an id is drawn from
    the log-uniform distribution q(n) = log((n + 2) / (n + 1)) / log(V + 1), `draws` times; each counts once. A score
    loses log P, P = 1 - (1 - q)^draws that of its token to be drawn at all: then (all but exactly, since tokens are not
    drawn quite independently) the scores of the softmax over the vocabulary are the best ones, and with more and more
    draws this is its loss. A target that was drawn, too, is not its own rival.
    """
    drawn_C = log_uniform(draws, len(bias_V))
    chosen = torch.cat([drawn_C, targets_N])
    rare = log_drawn(chosen, draws, len(bias_V)).to(bias_V.dtype)
    count, given = len(drawn_C), (drawn_C, targets_N, chosen, rare)
    drawn_C, targets_N, chosen, rare = (x.to(h_ND.device, non_blocking=True) for x in given)
    weight, bias = F.embedding(chosen, weight_VD), bias_V[chosen] - rare
    own_N = (h_ND * weight[count:]).sum(1) + bias[count:]
    others_NC = F.linear(h_ND, weight[:count]) + bias[:count]
    others_NC = others_NC.masked_fill(drawn_C == targets_N.unsqueeze(1), -torch.inf)
    return Loss((torch.logaddexp(own_N, others_NC.logsumexp(1)) - own_N).sum(), len(targets_N))


def log_uniform(draws: int, size: int) -> Tensor:
    """The distinct ids among so many draws from the log-uniform distribution over `size` ids, ascending."""
    ids = torch.pow(float(size + 1), torch.rand(draws, dtype=torch.float64)).long() - 1
    return cast(Tensor, torch.unique(ids.clamp_(max=size - 1)))


def log_drawn(ids: Tensor, draws: int, size: int) -> Tensor:
    """The logarithm, in float64, of the probability that each of `ids` is among those of `log_uniform`."""
    q = torch.log1p(1 / (ids.double() + 1)) / math.log(size + 1)
    return torch.log(-torch.expm1(draws * torch.log1p(-q)))


class _Choice(NamedTuple):
    """A softmax that takes part in the probability of some positions."""

    rows_K: Tensor | None
    """The positions; None for all."""
    layer: nn.Linear
    read_KD: Tensor
    targets_K: Tensor


class AdaptiveSoftmax(nn.Module):
    """Softmax over the most frequent tokens and clusters of the others, and one within each cluster.

    Grave et al. (2017): p(token) = p(cluster) p(token | cluster), the scores within cluster n linear in W_n h, which is
    `SHRINK`^n times smaller than h. A cluster is computed where a target is in it alone.
    """

    def __init__(self, width: int, vocabulary: int, cutoffs: Sequence[int]) -> None:
        """Raises `UserError` if no token is behind the last of `cutoffs`."""
        super().__init__()
        if cutoffs[-1] >= vocabulary:
            raise UserError(
                f"model.adaptive_softmax: the last cutoff should be below the vocabulary's size, {vocabulary:,}; "
                f"found {cutoffs[-1]:,}"
            )
        self.bounds = list(pairwise([*cutoffs, vocabulary]))
        self.first = cutoffs[0]
        self.head = nn.Linear(width, self.first + len(self.bounds))
        self.tails = nn.ModuleList()
        for n, (start, end) in enumerate(self.bounds, start=1):
            size = max(1, width // SHRINK**n)
            self.tails.append(nn.Sequential(nn.Linear(width, size, bias=False), nn.Linear(size, end - start)))
        for layer in (self.head, *(tail[1] for tail in self._tails())):
            nn.init.zeros_(layer.bias)

    def forward(self, read: Tensor) -> Tensor:
        """As `log_probabilities`."""
        return self.log_probabilities(read)

    def log_probabilities(self, read: Tensor) -> Tensor:
        """log p (..., V) of every token."""
        head = self.head(read).log_softmax(-1)
        parts = [head[..., : self.first]]
        for tail, logp in zip(self.tails, head[..., self.first :].unbind(-1), strict=True):
            parts.append(tail(read).log_softmax(-1) + logp.unsqueeze(-1))
        return torch.cat(parts, dim=-1)

    def token_nats(self, read_ND: Tensor, targets_N: Tensor) -> Tensor:
        """-log p (N,) of each target in float64."""
        nats_N = read_ND.new_zeros(len(read_ND), dtype=torch.float64)
        for rows_K, layer, read_KD, targets_K in self._choices(read_ND, targets_N):
            nats_K = token_nats(layer, read_KD, targets_K)
            nats_N = nats_N + nats_K if rows_K is None else nats_N.index_add(0, rows_K, nats_K)
        return nats_N

    def loss(self, read_ND: Tensor, targets_N: Tensor, smoothing: float = 0.0, draws: int | None = None) -> Loss:
        """-log p of the targets, summed; settings refuse what `Softmax.loss` may do beside."""
        assert not smoothing and draws is None
        nats = [
            linear_cross_entropy(read_KD, layer.weight, layer.bias, targets_K).nats
            for _, layer, read_KD, targets_K in self._choices(read_ND, targets_N)
        ]
        return Loss(torch.stack(nats).sum(), len(targets_N))

    def _tails(self) -> list[tuple[nn.Linear, nn.Linear]]:
        return [cast(tuple[nn.Linear, nn.Linear], tuple(cast(nn.Sequential, tail))) for tail in self.tails]

    def _choices(self, read_ND: Tensor, targets_N: Tensor) -> Iterator[_Choice]:
        """What the probability of the targets is a product of; a cluster is there without positions, too: its weights
        have a gradient then, of zero."""
        device = read_ND.device
        clusters_N = torch.bucketize(targets_N, torch.tensor([start for start, _ in self.bounds]), right=True)
        chosen_N = torch.where(clusters_N > 0, self.first + clusters_N - 1, targets_N)
        yield _Choice(None, self.head, read_ND, chosen_N.to(device, non_blocking=True))
        for n, ((start, _), (narrow, scores)) in enumerate(zip(self.bounds, self._tails(), strict=True), start=1):
            rows_K = (clusters_N == n).nonzero().squeeze(1)
            targets_K = (targets_N[rows_K] - start).to(device, non_blocking=True)
            rows_K = rows_K.to(device, non_blocking=True)
            yield _Choice(rows_K, scores, narrow(read_ND[rows_K]), targets_K)


def make_output(settings: LanguageModelSettings, width: int, vocabulary: int) -> Softmax | AdaptiveSoftmax:
    """The output layer that `settings` state."""
    if settings.adaptive_softmax is not None:
        return AdaptiveSoftmax(width, vocabulary, settings.adaptive_softmax)
    return Softmax(width, vocabulary)
