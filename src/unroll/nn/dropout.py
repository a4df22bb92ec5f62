"""Dropout: of units, of whole tokens, of recurrent weights.

B batch, T time, N rows, D units, V vocabulary, G gates, O output size.
"""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unroll.nn.settings import DropoutSettings

STEPS = 2**16  # values of 16 bits


def drop_units(x_BTD: Tensor, share: float, settings: DropoutSettings, training: bool) -> Tensor:
    """Drop a share of units: each alone, or if `variational` the same ones at all steps of a row."""
    if not training or not share:
        return x_BTD
    if settings.variational:
        return x_BTD * _kept(x_BTD[:, :1], share)
    return x_BTD * _kept(x_BTD, share) if x_BTD.is_cpu else F.dropout(x_BTD, share)


class SequenceDropout:
    """Dropout of one pass over a sequence that may be made in several calls: what is drawn once a sequence is kept.

    If `variational`, all calls for the same place drop the same units; tokens and recurrent weights that are dropped
    stay so.
    """

    def __init__(self, settings: DropoutSettings, training: bool) -> None:
        self.settings, self.training = settings, training
        self._drawn: dict[Hashable, Tensor] = {}

    def units(self, x_BTD: Tensor, share: float, place: Hashable) -> Tensor:
        """`x_BTD` without a share of its units."""
        if not (self.training and share and self.settings.variational):
            return drop_units(x_BTD, share, self.settings, self.training)
        return x_BTD * self._once(("units", place), lambda: _kept(x_BTD[:, :1], share))

    def embed(self, embedding: nn.Embedding, ids_BT: Tensor) -> Tensor:
        """Vectors (B, T, D) of tokens, of which a share has none."""
        vectors_BTD: Tensor = embedding(ids_BT)
        share = self.settings.words
        if not self.training or not share:
            return vectors_BTD
        return vectors_BTD * self._once(embedding, lambda: _kept(embedding.weight[:, :1], share))[ids_BT]

    def recurrent(self, u_GO: Tensor, place: Hashable) -> Tensor:
        """Recurrent weights as `drop_recurrent` leaves them."""
        return self._once(("recurrent", place), lambda: drop_recurrent(u_GO, self.settings, self.training))

    def _once(self, key: Hashable, draw: Callable[[], Tensor]) -> Tensor:
        if key not in self._drawn:
            self._drawn[key] = draw()
        return self._drawn[key]


def drop_rows(x_ND: Tensor, share: float, training: bool) -> Tensor:
    """Drop a share of rows, each whole."""
    return x_ND * _kept(x_ND[:, :1], share) if training and share else x_ND


def drop_recurrent(u_GO: Tensor, settings: DropoutSettings, training: bool) -> Tensor:
    """Recurrent weights without a share of them, or without all that some units of the state send."""
    if not training or not settings.recurrent:
        return u_GO
    return u_GO * _kept(u_GO if settings.recurrent_drops == "weights" else u_GO[:1], settings.recurrent)


def _kept(like: Tensor, share: float) -> Tensor:
    """Factors of the shape of `like`: zero for a share of them, else what keeps the mean.

    On a CPU a number of 64 bits decides on four units, a share being so many 65,536ths: some three times as fast as to
    draw a number for each.
    """
    if not like.is_cpu:
        return torch.empty_like(like, requires_grad=False).bernoulli_(1 - share).div_(1 - share)
    dropped, units = min(round(share * STEPS), STEPS - 1), like.numel()
    drawn = torch.empty(-(-units // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    kept = drawn[:units].view(like.shape) >= dropped - STEPS // 2
    return kept.to(like.dtype).mul_(STEPS / (STEPS - dropped))
