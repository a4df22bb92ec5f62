"""A finished encoder-decoder: from sources to hypotheses.

B sentences, K hypotheses each, N = B K, S source time, T target time, V vocabulary.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_map

from unroll.engine import LOCAL, Engine
from unroll.errors import UserError
from unroll.kinds.bundle import Bundle
from unroll.kinds.seq2seq.conditional import ConditionalModel
from unroll.kinds.seq2seq.decoder import Memory
from unroll.kinds.seq2seq.hypotheses import Found
from unroll.kinds.seq2seq.network import Seq2Seq
from unroll.kinds.seq2seq.penalties import limits
from unroll.kinds.seq2seq.search import Sentences, State, Stepper, find_hypotheses
from unroll.kinds.seq2seq.settings import DecodeSettings, Seq2SeqSettings
from unroll.progress import Tell, silent
from unroll.text.batches import pad_rows
from unroll.text.specials import EOS, UNK
from unroll.text.units.word import WordVocabulary
from unroll.text.vocabulary import Vocabulary, printable

# What is decoded side by side: source positions times hypotheses, which attention reads, and tokens of the vocabulary
# times hypotheses. A sentence that is larger is decoded alone.
POSITIONS, LOGITS = 1 << 16, 1 << 23
WINDOW = 1 << 17  # characters and ids of a stream that are decoded together


class Hypothesis(NamedTuple):
    """A decoded text, its score, its log-probability, its tokens, where each looked in the source (T, S), their ids."""

    text: str
    score: float
    log_probability: float
    tokens: list[str]
    alignment: NDArray[np.float64]
    ids: list[int]


class Answer(NamedTuple):
    """A source of a stream, how many of its tokens were cut off, the end among them, and its hypotheses in order."""

    source: str
    cut: int
    hypotheses: list[Hypothesis]


class _Source(NamedTuple):
    """What the encoder reads: ids (S,) with their end; the words they stand for; how many were cut off; its place."""

    ids: NDArray[np.int64]
    words: list[str]
    cut: int
    place: int


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
        return self._read(text, 0, False).ids

    def decode(
        self, sources: Sequence[str], settings: DecodeSettings, tell: Tell = silent, engine: Engine = LOCAL
    ) -> list[Hypothesis]:
        """The best hypothesis of each source, in order; a single sample, if `settings` ask for samples."""
        return [best for best, *_ in self.decode_nbest(sources, settings, 1, tell, engine)]

    def decode_nbest(
        self,
        sources: Sequence[str],
        settings: DecodeSettings,
        count: int | None = None,
        tell: Tell = silent,
        engine: Engine = LOCAL,
    ) -> list[list[Hypothesis]]:
        """The best `count` hypotheses of each source, the best first, in the order of the sources.

        A beam has no more than `settings.beam`, which is the default; samples there are as many as are asked for.
        `tell` is called with how many sources are done since the call before; batches are the shards of `engine`.
        Raises `UserError` if `settings` ask for what the units cannot do.
        """
        words = settings.replace_unknown
        rows = [self._read(text, place, words) for place, text in enumerate(sources)]
        return self._decode(rows, settings, count, tell, engine)

    def decode_stream(
        self,
        sources: Iterable[str],
        settings: DecodeSettings,
        count: int | None = None,
        waits: Callable[[], bool] = lambda: False,
    ) -> Iterator[Answer]:
        """As `decode_nbest`, of sources as they come, in order; what is held in memory does not grow.

        Sources are decoded together as far as they are there: `waits` says whether the next one would be waited for.
        """
        texts: list[str] = []
        rows: list[_Source] = []
        held = 0
        for place, text in enumerate(sources):
            texts.append(text)
            rows.append(self._read(text, place, settings.replace_unknown))
            held += len(text) + len(rows[-1].ids)
            if held >= WINDOW or waits():
                yield from self._answers(texts, rows, settings, count)
                texts, rows, held = [], [], 0
        yield from self._answers(texts, rows, settings, count)

    def _answers(
        self, texts: list[str], rows: list[_Source], settings: DecodeSettings, count: int | None
    ) -> Iterator[Answer]:
        for text, row, found in zip(texts, rows, self._decode(rows, settings, count), strict=True):
            yield Answer(text, row.cut, found)

    def _read(self, text: str, place: int, words: bool) -> _Source:
        """A text as the encoder reads it, the words of a `WordVocabulary` beside the ids if they are wanted."""
        ids = self.source.encode(text)
        cut = max(0, len(ids) - self.max_length)
        wanted = self.source.split(text) if words and isinstance(self.source, WordVocabulary) else []
        return _Source(np.append(ids, EOS)[: self.max_length + 1], wanted[: self.max_length + 1], cut, place)

    def _decode(
        self,
        rows: Sequence[_Source],
        settings: DecodeSettings,
        count: int | None,
        tell: Tell = silent,
        engine: Engine = LOCAL,
    ) -> list[list[Hypothesis]]:
        if settings.replace_unknown and not (
            isinstance(self.source, WordVocabulary) and isinstance(self.target, WordVocabulary)
        ):
            units = f"{self.source.unit} and {self.target.unit}"
            raise UserError(f"replace_unknown: belongs to unit word, whose unknown words are whole; found {units}")
        count = settings.beam if count is None else count
        found: dict[int, list[Hypothesis]] = {}
        order = sorted(range(len(rows)), key=lambda n: len(rows[n].ids))
        width = max(settings.beam, count)
        lengths = [len(rows[n].ids) for n in order]
        chosen = [[order[n] for n in batch] for batch in batches(lengths, width, len(self.target))]
        search = partial(self._search, settings=settings, count=count)
        shards = ([rows[n] for n in batch] for batch in chosen)
        for batch, several in zip(chosen, engine.map_shards(search, shards), strict=True):
            for n, hypotheses in zip(batch, several, strict=True):
                found[n] = [self._readable(hypothesis, rows[n], settings) for hypothesis in hypotheses]
            tell(len(batch))
        return [found[n] for n in range(len(rows))]

    @torch.inference_mode()
    def p_gen(self, sources: Sequence[str], hypotheses: Sequence[Hypothesis]) -> float | None:
        """The mean probability of writing, not copying, over the tokens and ends of hypotheses; None without a pointer.

        See et al. (2017), equation 8.
        """
        total, count = 0.0, 0
        for source, hypothesis in zip(sources, hypotheses, strict=True):
            ids, _ = place_open(self.source_ids(source), len(self.source))
            ids_1S = torch.from_numpy(ids).unsqueeze(0).to(self.device)
            memory, state = self.network.encode(ids_1S, torch.tensor([len(ids)]), torch.ones_like(ids_1S).bool(), False)
            decoded = self.network.force(torch.tensor([[*hypothesis.ids, EOS]], device=self.device), memory, state)
            copies = self.network.output.copies(decoded.read_BTD, decoded.weights_BTS, memory.source)
            if copies is None:
                return None
            total += float(torch.sigmoid(copies.gate_BT1).sum())
            count += copies.gate_BT1.numel()
        return total / count if count else None

    @torch.inference_mode()
    def _search(self, rows: list[_Source], settings: DecodeSettings, count: int) -> list[list[Found]]:
        placed = [place_open(row.ids, len(self.source)) for row in rows]
        ids_BS, lengths_B = pad_rows([ids for ids, _ in placed])
        mask_BS = (torch.arange(ids_BS.shape[1]) < lengths_B.unsqueeze(1)).to(self.device)
        step, state = self.begin(ids_BS.to(self.device), lengths_B, mask_BS)
        limits_B = limits(lengths_B, settings)
        random_BKT = None
        if settings.sample is not None:
            random_BKT = random_numbers(settings.sample.seed, [row.place for row in rows], count, limits_B)
        sentences = Sentences(mask_BS, limits_B, random_BKT)
        found = find_hypotheses(step, state, sentences, settings, count)
        return [
            [
                one._replace(tokens=[back.get(n, n) for n in one.tokens], weights_TS=one.weights_TS.cpu())
                for one in several
            ]
            for several, (_, back) in zip(found, placed, strict=True)
        ]

    def begin(self, ids_BS: Tensor, lengths_B: Tensor, mask_BS: Tensor) -> tuple[Stepper, State]:
        """A decoder over encoded sources, and its state before the first step; `lengths_B` lies on the CPU."""
        memory, state = self.network.encode(ids_BS, lengths_B, mask_BS, packed=False)
        return Decoding(self.network, memory), state

    def _readable(self, found: Found, row: _Source, settings: DecodeSettings) -> Hypothesis:
        weights_TS = found.weights_TS[:, : len(row.ids)].double().numpy()
        tokens = self.target.tokens(found.tokens)
        if settings.replace_unknown and row.words:
            assert isinstance(self.target, WordVocabulary)
            looked_T = weights_TS[:, : len(row.words)].argmax(1)
            words = {t: row.words[looked_T[t]] for t, token in enumerate(found.tokens) if token == UNK}
            text = self.target.decode(found.tokens, words.values())
            tokens = [printable(words[t]) if t in words else token for t, token in enumerate(tokens)]
        else:
            text = self.target.decode(found.tokens)
        return Hypothesis(text, found.score, found.log_probability, tokens, weights_TS, found.tokens)


class Decoding:
    """The decoder as the search sees it."""

    def __init__(self, network: ConditionalModel, memory: Memory) -> None:
        self.network, self.memory, self.reach = network, memory, network.output.reach(memory.source)

    def __call__(self, ids_BK: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        decoded = self.network.decode(ids_BK, self.memory, state, beam=True)
        return self.network.log_probabilities(decoded, self.memory, self.reach), decoded.state, decoded.weights_BTS

    def keep(self, rows_B: Tensor) -> None:
        self.memory, self.reach = tree_map(
            lambda x: x if x is None else x.index_select(0, rows_B), (self.memory, self.reach)
        )


def batches(lengths: Sequence[int], hypotheses: int, vocabulary: int) -> Iterator[range]:
    """Places of sources, whose `lengths` ascend, in batches that keep to `POSITIONS` and `LOGITS`."""
    most = max(1, LOGITS // (hypotheses * vocabulary))
    start = 0
    for n, length in enumerate(lengths):
        if n > start and (n - start == most or (n + 1 - start) * hypotheses * length > POSITIONS):
            yield range(start, n)
            start = n
    if start < len(lengths):
        yield range(start, len(lengths))


def random_numbers(seed: int, places: Sequence[int], count: int, limits_B: Tensor) -> Tensor:
    """Numbers in [0, 1), (B, K, T), that belong to the places of the sources: as many as their limits and one more."""
    random_BKT = torch.zeros(len(places), count, int(limits_B.max()) + 1, dtype=torch.float64)
    for b, (place, limit) in enumerate(zip(places, limits_B.tolist(), strict=True)):
        for k in range(count):
            random_BKT[b, k, : limit + 1] = torch.from_numpy(np.random.default_rng((seed, place, k)).random(limit + 1))
    return random_BKT


def place_open(ids_S: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], dict[int, int]]:
    """`ids_S` with the ids beyond a vocabulary of `size` as size, size + 1, ... in order, and the way back."""
    there = {int(token): size + n for n, token in enumerate(dict.fromkeys(ids_S[ids_S >= size].tolist()))}
    placed = np.array([there.get(token, token) for token in ids_S.tolist()], dtype=np.int64) if there else ids_S
    return placed, {place: token for token, place in there.items()}


def load(bundle: Bundle, device: torch.device) -> PairPredictor:
    """The predictor of a bundle whose kind is `seq2seq`."""
    source, target = bundle.vocabulary("source"), bundle.vocabulary("target")
    settings = bundle.model_settings(Seq2SeqSettings)
    ends = bundle.info["fields"]["source"]["sentence_ends"] if settings.sentences else ()
    network = bundle.network(lambda: Seq2Seq(settings, len(source), len(target), source is target, ends))
    return PairPredictor(network.to(device), source, target, bundle.info["max_length"], device)
