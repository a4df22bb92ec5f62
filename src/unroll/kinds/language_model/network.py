"""The network of a recurrent language model.

B batch, T time, E embedding, O output of the top layer, D what the output layer reads, V vocabulary, N spelled tokens
or positions, K of them open.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unroll.kinds.language_model.output import make_output
from unroll.kinds.language_model.settings import LanguageModelSettings
from unroll.kinds.language_model.spelling import Spelled, Spelling, Written
from unroll.nn.cells import State
from unroll.nn.dropout import SequenceDropout, drop_rows, drop_units
from unroll.nn.recurrent import Layer, Recurrent, StackState
from unroll.text.specials import PAD, UNK


class Reading(NamedTuple):
    """What the network made of a piece of text."""

    read_BTD: Tensor
    """What the output layer reads."""
    top_BTO: Tensor
    """The top layer's output."""
    dropped_BTO: Tensor
    """The same after dropout."""
    state: StackState
    """After the last step."""


class Trace(NamedTuple):
    """A layer at work."""

    x_BTI: Tensor
    """What it read."""
    states: list[State]
    """Before the first step and after each: T + 1."""


class LanguageModel(nn.Module):
    """Embedding, recurrent layers, output: p(next token | all tokens before). Mikolov et al. (2010).

    With `spelling` the vocabulary is open: tokens have ids beyond it, too, which are read and written by their
    characters.
    """

    def __init__(self, settings: LanguageModelSettings, vocabulary: int, characters: int = 0) -> None:
        """`vocabulary` ids of tokens and, with `settings.spelling`, `characters` ids of characters."""
        super().__init__()
        self.vocabulary = vocabulary
        self.rates = settings.dropout
        if settings.embedding is None:
            self.embedding = None
            inputs = vocabulary
        else:
            self.embedding = nn.Embedding(vocabulary, settings.embedding, padding_idx=PAD)
            inputs = settings.embedding
        self.recurrent = Recurrent(settings, inputs, settings.dropout)
        width = inputs if settings.tied else self.recurrent.width
        same = width == self.recurrent.width
        self.project = nn.Identity() if same else nn.Linear(self.recurrent.width, width)
        self.output = make_output(settings, width, vocabulary)
        if settings.tied and self.embedding is not None:
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
            self.output.weight = self.embedding.weight
        spelling = settings.spelling
        self.spelling = None if spelling is None else Spelling(spelling, characters, inputs, width)

    def closed(self, ids: Tensor) -> Tensor:
        """The same ids with UNK for open ones: what the output layer predicts of them."""
        return ids.where(ids < self.vocabulary, UNK)

    def embed(self, ids_BT: Tensor) -> Tensor:
        """Input vectors (B, T, E) of tokens of the vocabulary; without embeddings one-hot ones (B, T, V)."""
        if self.embedding is None:
            return F.one_hot(ids_BT, self.vocabulary).to(self._weights.dtype)
        return SequenceDropout(self.rates, self.training).embed(self.embedding, ids_BT)

    def start(self, rows: int) -> StackState:
        """The state before the first token of so many texts."""
        like_N1I = self._weights.new_zeros(rows, 1, 1)
        return tuple(layer.initial(like_N1I) for layer in self.layers)

    @property
    def _weights(self) -> Tensor:
        """Some of the parameters: where all are, and of what type."""
        return self.layers[0].cell.weights()[0]

    def forward(
        self,
        ids_BT: Tensor,
        state: StackState | None = None,
        lengths_B: Tensor | None = None,
        spelled: Spelled | None = None,
    ) -> Reading:
        """Read tokens, from a state on; `lengths_B` as in `Layer`, `spelled` has the open ids among `ids_BT`."""
        x_BTE = drop_units(self.inputs(ids_BT, spelled), self.rates.input, self.rates, self.training)
        top_BTO, state = self.recurrent(x_BTE, state, lengths_B)
        dropped_BTO = drop_units(top_BTO, self.rates.output, self.rates, self.training)
        return Reading(self.project(dropped_BTO), top_BTO, dropped_BTO, state)

    def inputs(self, ids_BT: Tensor, spelled: Spelled | None) -> Tensor:
        """Input vectors (B, T, E), those of open ids from the spelling."""
        if spelled is None:
            return self.embed(ids_BT)
        assert self.spelling is not None
        read_NE = drop_rows(self.spelling.read(spelled), self.rates.words, self.training)
        open_BT, open_ids_N = ids_BT >= self.vocabulary, spelled.ids_N.to(ids_BT.device, non_blocking=True)
        places_BT = torch.searchsorted(open_ids_N, ids_BT.where(open_BT, open_ids_N[0]))
        return torch.where(open_BT.unsqueeze(-1), F.embedding(places_BT, read_NE), self.embed(self.closed(ids_BT)))

    def written(self, read_ND: Tensor, targets_N: Tensor, spelled: Spelled | None) -> tuple[Tensor, Written] | None:
        """Which of the targets (on the CPU) are open (K,), and how each is spelled where the output layer reads; None
        if none is."""
        open_K = (targets_N >= self.vocabulary).nonzero().squeeze(1)
        if not len(open_K):
            return None
        assert self.spelling is not None and spelled is not None
        ids_K, open_K = targets_N[open_K], open_K.to(read_ND.device, non_blocking=True)
        return open_K, self.spelling.write(read_ND[open_K], spelled, ids_K)

    @property
    def layers(self) -> list[Layer]:
        """The recurrent layers, the lowest first."""
        return cast(list[Layer], list(self.recurrent.layers))

    def trace(self, ids_BT: Tensor, state: StackState, spelled: Spelled | None = None) -> tuple[list[Trace], Tensor]:
        """Read tokens tick by tick, without dropout: each layer at work, and what the output layer reads (B, T, D)."""
        y = self.inputs(ids_BT, spelled)
        traces = []
        for n, (layer, before) in enumerate(zip(self.layers, state, strict=True), start=1):
            x, cell, states = y, layer.cell, [before]
            u_GO = cell.weights()[1]
            for a_BG in cell.inputs(x).unbind(1):
                states.append(cell.tick(a_BG, states[-1], u_GO))
            traces.append(Trace(x, states))
            y = torch.stack([after[0] for after in states[1:]], dim=1)
            if n >= self.recurrent.residual_from:
                y = y + x
        return traces, self.project(y)
