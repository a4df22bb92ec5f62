"""Reading and writing rare words by their characters: what the unit `hybrid` adds to a language model.

Luong and Manning (2016), "Achieving open vocabulary neural machine translation with hybrid word-character models".
Characters are ids of their own vocabulary, in which BOS stands before a token and EOS behind it.

N tokens, L characters of the longest, M characters and ends of all, E a token's input vector, D what the output layer
of the words reads, C character vocabulary, H hidden state.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unroll.kinds.language_model.settings import SpellingSettings
from unroll.nn.cells import State, make_cell
from unroll.nn.recurrent import Layer
from unroll.nn.settings import CellSettings, DropoutSettings
from unroll.text.batches import pad_rows
from unroll.text.specials import BOS, EOS, PAD

TOKENS = 1024  # spelled side by side: bounds the memory that a text full of rare words takes

Spell = Callable[[int], NDArray[np.int64]]
"""From an open id to its characters (L,)."""


class Spelled(NamedTuple):
    """The distinct spelled tokens of a batch, on the CPU: their lengths are to be known there."""

    ids_N: Tensor
    """Open ids, ascending."""
    characters_NL: Tensor
    """Padded with PAD."""
    lengths_N: Tensor
    """At least 1 each."""


class Written(NamedTuple):
    """All characters of N tokens and their ends, one after the other."""

    read_MH: Tensor
    """What the output layer of the characters reads before each."""
    targets_M: Tensor
    tokens_M: Tensor
    """Which of the N tokens each belongs to."""


def spelled_tokens(ids: Iterable[Tensor], first: int, spell: Spell) -> Spelled | None:
    """The distinct ids among `ids` (on the CPU) that are open, `first` or more; None if there are none."""
    flat = torch.cat([some.flatten() for some in ids]).numpy()
    open_ids = np.unique(flat[flat >= first])
    if not len(open_ids):
        return None
    return Spelled(torch.from_numpy(open_ids), *pad_rows([spell(token) for token in open_ids.tolist()]))


class Spelling(nn.Module):
    """Two LSTMs over characters, whose embeddings they share: one reads a token, the other writes it.

    p(token | text before) = p(UNK | text before) Π p(character | those before, h) p(EOS | all of them, h), where h is
    what the output layer of the words reads; the writer starts from the state tanh(W h + b), the "separate path".
    """

    def __init__(self, settings: SpellingSettings, characters: int, inputs: int, reads: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, settings.embedding, padding_idx=PAD)
        cell = CellSettings(cell="lstm")
        self.reader, self.writer = (
            Layer(make_cell(cell, settings.embedding, settings.hidden), DropoutSettings()) for _ in range(2)
        )
        self.project = nn.Linear(settings.hidden, inputs)
        self.start = nn.Linear(reads, settings.hidden)
        self.output = nn.Linear(settings.hidden, characters)
        nn.init.zeros_(self.output.bias)

    def read(self, spelled: Spelled) -> Tensor:
        """Input vectors (N, E): the reader's last state, projected."""
        vectors = []
        for n in range(0, len(spelled.ids_N), TOKENS):
            lengths_N = spelled.lengths_N[n : n + TOKENS]
            characters_NL = spelled.characters_NL[n : n + TOKENS, : int(lengths_N.max())]
            _, state = self.reader(self._embedded(characters_NL), None, lengths_N)
            vectors.append(self.project(state[0]))
        return torch.cat(vectors)

    def write(self, read_ND: Tensor, spelled: Spelled, ids_N: Tensor) -> Written:
        """How likely the writer finds the tokens `ids_N` (open ids, on the CPU), each where the words' output reads
        `read_ND`."""
        places_N = torch.searchsorted(spelled.ids_N, ids_N)
        parts = []
        for n in range(0, len(ids_N), TOKENS):
            places = places_N[n : n + TOKENS]
            lengths_N = spelled.lengths_N[places]
            characters_NL = spelled.characters_NL[places, : int(lengths_N.max())]
            part = self._write(read_ND[n : n + TOKENS], characters_NL, lengths_N)
            parts.append(part._replace(tokens_M=part.tokens_M + n))
        return Written(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _write(self, read_ND: Tensor, characters_NL: Tensor, lengths_N: Tensor) -> Written:
        mark_N1 = characters_NL.new_ones(len(characters_NL), 1)
        inputs_NL = torch.cat([BOS * mark_N1, characters_NL], dim=1)
        read_NLH, _ = self.writer(self._embedded(inputs_NL), self._first(read_ND), lengths_N + 1)
        ends_N1 = lengths_N.unsqueeze(1)
        targets_NL = torch.cat([characters_NL, PAD * mark_N1], dim=1).scatter(1, ends_N1, EOS)
        tokens_M, places_M = (torch.arange(inputs_NL.shape[1]).unsqueeze(0) <= ends_N1).nonzero(as_tuple=True)
        real = tokens_M, places_M, targets_NL[tokens_M, places_M]
        tokens_M, places_M, targets_M = (x.to(read_NLH.device, non_blocking=True) for x in real)
        return Written(read_NLH[tokens_M, places_M], targets_M, tokens_M)

    def _embedded(self, characters_NL: Tensor) -> Tensor:
        embedded: Tensor = self.embedding(characters_NL.to(self.embedding.weight.device, non_blocking=True))
        return embedded

    def draw(self, read_D: Tensor, choose: Callable[[Tensor, bool], int], longest: int) -> list[int]:
        """The characters of a new token, until EOS or `longest`.

        `choose` takes logits (C,) and whether they are for the first character, which is not to be EOS.
        """
        state = self._first(read_D.unsqueeze(0))
        last, characters = BOS, list[int]()
        while len(characters) < longest:
            read_11H, state = self.writer(self.embedding(torch.tensor([[last]], device=read_D.device)), state)
            last = choose(self.output(read_11H[0, 0]), not characters)
            if last == EOS:
                break
            characters.append(last)
        return characters

    def _first(self, read_ND: Tensor) -> State:
        h_NH = torch.tanh(self.start(read_ND))
        return h_NH, torch.zeros_like(h_NH)
