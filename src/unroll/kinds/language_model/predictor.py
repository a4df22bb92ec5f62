"""A finished language model: scoring and generating text.

B batch, T time, N tokens, D what the output layer reads, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unroll.files import damaged
from unroll.kinds.bundle import INFO, Bundle
from unroll.kinds.generation import NEVER, Generator, Sampling, TextScore, draw
from unroll.kinds.language_model.network import LanguageModel
from unroll.kinds.language_model.settings import LanguageModelSettings
from unroll.kinds.language_model.spelling import Spelled, spelled_tokens
from unroll.nn.losses import token_nats
from unroll.nn.recurrent import StackState
from unroll.text.batches import pad_rows
from unroll.text.specials import BOS, EOS, PAD, UNK
from unroll.text.units.hybrid import LONGEST, HybridVocabulary
from unroll.text.vocabulary import Vocabulary

ROWS = 64  # texts scored side by side
STEPS = 512  # positions of them computed at once


class LanguageModelPredictor(Generator):
    """Scores and generates text; a text is cut nowhere and scored the same in any company."""

    task = "language_model"

    def __init__(
        self,
        network: LanguageModel,
        vocabulary: Vocabulary,
        context: Literal["stream", "text"],
        device: torch.device,
    ) -> None:
        self.network = network.eval()
        self.vocabulary = vocabulary
        self.context = context
        self.device = device

    def score(self, texts: Sequence[str]) -> list[TextScore]:
        """One score a text, in order.

        With `context` "text" each text starts afresh; with "stream" the state is carried from text to text.
        """
        return [TextScore(float(nats.sum()), len(nats)) for nats in self.token_nats(texts)]

    @torch.inference_mode()
    def token_nats(self, texts: Sequence[str]) -> list[NDArray[np.float64]]:
        """-log p (T,) of every token of each text and of its end; texts follow one another as in `score`."""
        rows = [np.append(self.vocabulary.encode(text), EOS) for text in texts]
        if not rows:
            return []
        if self.context == "stream":
            return np.split(self._nats([np.concatenate(rows)])[0], np.cumsum([len(row) for row in rows[:-1]]))
        found: dict[int, NDArray[np.float64]] = {}
        order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
        for start in range(0, len(order), ROWS):
            chosen = order[start : start + ROWS]
            found.update(zip(chosen, self._nats([rows[n] for n in chosen]), strict=True))
        return [found[n] for n in range(len(rows))]

    def _nats(self, rows: list[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
        """The nats of every token of every row, computed in pieces with the state carried on."""
        targets_BT, lengths_B = pad_rows(rows)
        inputs_BT = torch.cat([torch.full_like(targets_BT[:, :1], EOS), targets_BT[:, :-1]], dim=1)
        nats = np.zeros(targets_BT.shape)
        state: StackState | None = None
        for start in range(0, targets_BT.shape[1], STEPS):
            inputs, targets = (ids_BT[:, start : start + STEPS] for ids_BT in (inputs_BT, targets_BT))
            spelled = self.spelled(inputs, targets)
            reading = self.network(inputs.to(self.device), state, spelled=spelled)
            state = reading.state
            piece = self._token_nats(reading.read_BTD.flatten(0, 1), targets.flatten(), spelled)
            nats[:, start : start + STEPS] = piece.view(targets.shape).cpu().numpy()
        return [row[:length] for row, length in zip(nats, lengths_B.tolist(), strict=True)]

    def spelled(self, *ids: Tensor) -> Spelled | None:
        """The open ids of a piece."""
        if not isinstance(self.vocabulary, HybridVocabulary):
            return None
        return spelled_tokens(ids, len(self.vocabulary), self.vocabulary.spelling)

    def _token_nats(self, read_ND: Tensor, targets_N: Tensor, spelled: Spelled | None) -> Tensor:
        """The nats (N,) of each target, given on the CPU; a spelled one costs UNK, its characters and its end."""
        nats_N = self.network.output.token_nats(read_ND, self.network.closed(targets_N))
        if found := self.network.written(read_ND, targets_N, spelled):
            assert self.network.spelling is not None
            open_K, written = found
            spelling_nats_M = token_nats(self.network.spelling.output, written.read_MH, written.targets_M)
            nats_N.index_add_(0, open_K[written.tokens_M], spelling_nats_M)
        return nats_N

    def begin(self, rows: int) -> StackState:
        """The state before the first token of so many texts."""
        return self.network.start(rows)

    @torch.inference_mode()
    def advance(self, ids_N: Tensor, state: StackState) -> tuple[Tensor, StackState]:
        """log p (N, V) of the next token of texts that grow side by side, and the next state.

        `ids_N` are the tokens before, BOS at the start; ids beyond the vocabulary are read as unknown.
        """
        ids_N1 = self.network.closed(ids_N.to(self.device).masked_fill(ids_N.to(self.device) == BOS, EOS)).unsqueeze(1)
        reading = self.network(ids_N1, state)
        return self.network.output.log_probabilities(reading.read_BTD[:, 0]), reading.state

    @torch.inference_mode()
    def sample(
        self, prompt: NDArray[np.int64], max_tokens: int, sampling: Sampling, random: np.random.Generator
    ) -> Iterator[int]:
        """Token after token behind `prompt`, `max_tokens` at most; a text ends, a stream goes on.

        Where UNK is drawn and the vocabulary is open, a token is spelled in its place, of at most `LONGEST` characters.
        """
        never = NEVER if self.network.spelling is None else (PAD, BOS)
        state: StackState | None = None
        ids_1T = torch.from_numpy(np.append(EOS, prompt)).unsqueeze(0)
        for _ in range(max_tokens):
            reading = self.network(ids_1T.to(self.device), state, spelled=self.spelled(ids_1T))
            state, read_D = reading.state, reading.read_BTD[0, -1]
            token = draw(_array(self.network.output(read_D)), sampling, random, never)
            if token == UNK:
                token = self._draw_spelled(read_D, sampling, random)
            if token == EOS and self.context == "text":
                return
            yield token
            ids_1T = torch.tensor([[token]])

    def _draw_spelled(self, read_D: Tensor, sampling: Sampling, random: np.random.Generator) -> int:
        """The id of a token whose characters are drawn; it may be a word of the vocabulary."""
        assert self.network.spelling is not None and isinstance(self.vocabulary, HybridVocabulary)

        def choose(logits_C: Tensor, first: bool) -> int:
            return draw(_array(logits_C), sampling, random, (*NEVER, EOS) if first else NEVER)

        characters = self.network.spelling.draw(read_D, choose, LONGEST)
        return self.vocabulary.id_of(self.vocabulary.characters.decode(characters))


def _array(logits_V: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = logits_V.double().cpu().numpy()
    return array


def load(bundle: Bundle, device: torch.device) -> LanguageModelPredictor:
    """The predictor of a bundle whose kind is `language_model`."""
    settings, vocabulary = bundle.model_settings(LanguageModelSettings), bundle.vocabulary("text")
    characters = len(vocabulary.characters) if isinstance(vocabulary, HybridVocabulary) else 0
    if (settings.spelling is not None) != isinstance(vocabulary, HybridVocabulary):
        raise damaged(bundle.folder / INFO, "settings.model.spelling goes with a vocabulary of unit hybrid")
    network = bundle.network(lambda: LanguageModel(settings, len(vocabulary), characters))
    context = bundle.info["settings"]["train"]["context"]
    return LanguageModelPredictor(network.to(device), vocabulary, context, device)
