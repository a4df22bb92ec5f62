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
from unroll.kinds.seq2seq.decoder import DecoderState
from unroll.kinds.seq2seq.network import Seq2Seq
from unroll.kinds.seq2seq.search import Found, beam_search
from unroll.kinds.seq2seq.settings import DecodeSettings, Seq2SeqSettings
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
        placed = [place_open(row, len(self.source)) for row in rows]
        ids_BS, lengths_B = pad_rows([row for row, _ in placed])
        mask_BS = (torch.arange(ids_BS.shape[1]) < lengths_B.unsqueeze(1)).to(self.device)
        memory, state = self.network.encode(ids_BS.to(self.device), lengths_B, mask_BS, packed=False)

        def step(ids_BK: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState, Tensor]:
            decoded = self.network.decode(ids_BK, memory, state, beam=True)
            return self.network.log_probabilities(decoded, memory), decoded.state, decoded.weights_BTS

        limits_B = (lengths_B.double() * settings.max_ratio).long() + EXTRA
        found = beam_search(step, state, limits_B, settings)
        return [
            [one._replace(tokens=[int(back.get(token, token)) for token in one.tokens]) for one in several]
            for several, (_, back) in zip(found, placed, strict=True)
        ]

    def _readable(self, found: Found, length: int) -> Hypothesis:
        return Hypothesis(
            self.target.decode(found.tokens),
            found.score,
            self.target.tokens(found.tokens),
            found.weights_TS[:, :length].double().cpu().numpy(),
        )


def place_open(ids_S: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], dict[int, int]]:
    """`ids_S` with the ids beyond a vocabulary of `size` as size, size + 1, ... in order, and the way back."""
    there = {int(token): size + n for n, token in enumerate(dict.fromkeys(ids_S[ids_S >= size]))}
    placed = np.array([there.get(token, token) for token in ids_S.tolist()], dtype=np.int64) if there else ids_S
    return placed, {place: token for token, place in there.items()}


def load(bundle: Bundle, device: torch.device) -> PairPredictor:
    """The predictor of a bundle whose kind is `seq2seq`."""
    source, target = bundle.vocabularies["source"], bundle.vocabularies["target"]
    settings = Seq2SeqSettings(**bundle.info["settings"]["model"])
    ends = bundle.info["fields"]["source"]["sentence_ends"] if settings.sentences else ()
    network = Seq2Seq(settings, len(source), len(target), source is target, ends)
    put_weights(network, bundle.weights)
    return PairPredictor(network.to(device), source, target, bundle.info["max_length"], device)
