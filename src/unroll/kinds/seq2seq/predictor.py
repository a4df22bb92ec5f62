"""A finished encoder-decoder: from sources to hypotheses.

B sentences, K hypotheses each, N = B K, S source time, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unroll.kinds.bundle import Bundle, put_weights
from unroll.kinds.seq2seq.network import Seq2Seq
from unroll.kinds.seq2seq.search import Found, beam_search
from unroll.kinds.seq2seq.settings import DecodeSettings, Seq2SeqSettings
from unroll.nn.recurrent import StackState
from unroll.text.batches import pad_rows
from unroll.text.specials import EOS
from unroll.text.vocabulary import Vocabulary

ROWS = 64  # sentences decoded side by side
EXTRA = 10  # tokens that a hypothesis may have beyond `max_ratio` times its source


class Hypothesis(NamedTuple):
    """A decoded text, its normalised log-probability, its tokens, and where each looked in the source (T, S)."""

    text: str
    score: float
    tokens: list[str]
    alignment: NDArray[np.float64]


class PairPredictor:
    """Decodes sources; a source's result does not depend on the others."""

    task = "pairs"

    def __init__(
        self,
        network: Seq2Seq,
        source: Vocabulary,
        target: Vocabulary,
        max_length: int,
        device: torch.device,
    ) -> None:
        self.network = network.eval()
        self.source = source
        self.target = target
        self.max_length = max_length
        self.device = device

    def source_ids(self, text: str) -> NDArray[np.int64]:
        """The ids that the encoder reads: the text and its end, cut to the dataset's `max_length` like in training."""
        return np.append(self.source.encode(text), EOS)[: self.max_length + 1]

    def decode(self, sources: Sequence[str], settings: DecodeSettings) -> list[Hypothesis]:
        """The best hypothesis of each source, in order."""
        return [best for best, *_ in self.decode_nbest(sources, settings)]

    def decode_nbest(self, sources: Sequence[str], settings: DecodeSettings) -> list[list[Hypothesis]]:
        """The hypotheses found for each source, best first, in the order of the sources."""
        rows = [self.source_ids(text) for text in sources]
        found: dict[int, list[Hypothesis]] = {}
        order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
        for start in range(0, len(order), ROWS):
            chosen = order[start : start + ROWS]
            for n, hypotheses in zip(chosen, self._search([rows[n] for n in chosen], settings), strict=True):
                found[n] = [self._readable(hypothesis, len(rows[n])) for hypothesis in hypotheses]
        return [found[n] for n in range(len(rows))]

    @torch.inference_mode()
    def _search(self, rows: list[NDArray[np.int64]], settings: DecodeSettings) -> list[list[Found]]:
        ids_BS, lengths_B = pad_rows(rows)
        mask_BS = (torch.arange(ids_BS.shape[1]) < lengths_B.unsqueeze(1)).to(self.device)
        memory, state = self.network.encode(ids_BS.to(self.device), lengths_B, mask_BS, packed=False)

        def step(ids_BK: Tensor, state: StackState) -> tuple[Tensor, StackState, Tensor]:
            read_BKD, state, weights_BKS = self.network.decode(ids_BK, memory, state, beam=True)
            return self.network.log_probabilities(read_BKD, weights_BKS, memory), state, weights_BKS

        limits_B = (lengths_B.double() * settings.max_ratio).long() + EXTRA
        return beam_search(step, state, limits_B, settings)

    def _readable(self, found: Found, length: int) -> Hypothesis:
        return Hypothesis(
            self.target.decode(found.tokens),
            found.score,
            self.target.tokens(found.tokens),
            found.weights_TS[:, :length].double().cpu().numpy(),
        )


def load(bundle: Bundle, device: torch.device) -> PairPredictor:
    """The predictor of a bundle whose kind is `seq2seq`."""
    source, target = bundle.vocabularies["source"], bundle.vocabularies["target"]
    settings = Seq2SeqSettings(**bundle.info["settings"]["model"])
    network = Seq2Seq(settings, len(source), len(target), source is target)
    put_weights(network, bundle.weights)
    return PairPredictor(network.to(device), source, target, bundle.info["max_length"], device)
