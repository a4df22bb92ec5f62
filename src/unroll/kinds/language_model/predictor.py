"""A finished language model: scoring and generating text.

B batch, T time, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from unroll.kinds.bundle import Bundle, put_weights
from unroll.kinds.generation import Generator, Sampling, TextScore, draw
from unroll.kinds.language_model.network import LanguageModel
from unroll.kinds.language_model.settings import LanguageModelSettings
from unroll.nn.losses import token_nats
from unroll.nn.recurrent import StackState
from unroll.text.batches import pad_rows
from unroll.text.specials import EOS
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

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> list[TextScore]:
        """One score a text, in order.

        With `context` "text" each text starts afresh; with "stream" the state is carried from text to text.
        """
        rows = [np.append(self.vocabulary.encode(text), EOS) for text in texts]
        if not rows:
            return []
        if self.context == "text":
            return self._score_apart(rows)
        nats = self._nats([np.concatenate(rows)])[0]
        starts = np.cumsum([0] + [len(row) for row in rows[:-1]])
        sums = np.add.reduceat(nats, starts)
        return [TextScore(float(total), len(row)) for total, row in zip(sums, rows, strict=True)]

    def _score_apart(self, rows: list[NDArray[np.int64]]) -> list[TextScore]:
        scores: dict[int, TextScore] = {}
        order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
        for start in range(0, len(order), ROWS):
            chosen = order[start : start + ROWS]
            for n, nats in zip(chosen, self._nats([rows[n] for n in chosen]), strict=True):
                scores[n] = TextScore(float(nats.sum()), len(rows[n]))
        return [scores[n] for n in range(len(rows))]

    def _nats(self, rows: list[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
        """The nats of every token of every row, computed in pieces with the state carried on."""
        targets_BT, lengths_B = pad_rows(rows)
        inputs_BT = torch.cat([torch.full_like(targets_BT[:, :1], EOS), targets_BT[:, :-1]], dim=1)
        nats = np.zeros(targets_BT.shape)
        state: StackState | None = None
        for start in range(0, targets_BT.shape[1], STEPS):
            inputs = inputs_BT[:, start : start + STEPS].to(self.device)
            targets = targets_BT[:, start : start + STEPS].to(self.device)
            reading = self.network(inputs, state)
            state = reading.state
            piece = token_nats(self.network.output, reading.read_BTD.flatten(0, 1), targets.flatten())
            nats[:, start : start + STEPS] = piece.view(targets.shape).cpu().numpy()
        return [row[:length] for row, length in zip(nats, lengths_B.tolist(), strict=True)]

    @torch.inference_mode()
    def sample(
        self, prompt: NDArray[np.int64], max_tokens: int, sampling: Sampling, random: np.random.Generator
    ) -> Iterator[int]:
        """Token after token behind `prompt`, until the text ends or has `max_tokens` new ones."""
        state: StackState | None = None
        ids_1T = torch.from_numpy(np.append(EOS, prompt)).unsqueeze(0).to(self.device)
        for _ in range(max_tokens):
            reading = self.network(ids_1T, state)
            state = reading.state
            token = draw(self.network.output(reading.read_BTD[0, -1]).double().cpu().numpy(), sampling, random)
            if token == EOS:
                return
            yield token
            ids_1T = torch.tensor([[token]], device=self.device)


def load(bundle: Bundle, device: torch.device) -> LanguageModelPredictor:
    """The predictor of a bundle whose kind is `language_model`."""
    settings = bundle.info["settings"]
    vocabulary = bundle.vocabularies["text"]
    network = LanguageModel(LanguageModelSettings(**settings["model"]), len(vocabulary))
    put_weights(network, bundle.weights)
    return LanguageModelPredictor(network.to(device), vocabulary, settings["train"]["context"], device)
