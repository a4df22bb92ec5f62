"""What the units share whose ids stand for a tokenizer's tokens or parts of them: how text is counted and encoded."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from unroll.text.specials import SPECIALS, UNK
from unroll.text.tokenizer import Tokenizer
from unroll.text.vocabulary import Vocabulary, printable

KEPT_CHUNKS = 500_000  # distinct chunks remembered
KEPT_CHARACTERS = 1_000  # longer chunks are not: they hardly come again


class TokenVocabulary(Vocabulary):
    """Ids of the tokens of a `Tokenizer`; `entries` are named by the ids behind those of the specials."""

    def __init__(self, entries: Sequence[str], tokenizer: Tokenizer) -> None:
        self._tokens = [*SPECIALS, *entries]
        self._ids = {entry: n for n, entry in enumerate(entries, start=len(SPECIALS))}
        self._tokenizer = tokenizer
        self._chunk_ids = _Remembered(self)
        self.invertible = tokenizer.invertible

    @abstractmethod
    def token_ids(self, token: str) -> Sequence[int]:
        """The ids of one token, with UNK for what is unknown."""

    def chunk_ids(self, chunk: str) -> tuple[int, ...]:
        """The ids of one of the tokenizer's chunks."""
        return tuple(chain.from_iterable(map(self.token_ids, self._tokenizer.tokens(chunk))))

    def __len__(self) -> int:
        return len(self._tokens)

    def encode(self, text: str) -> NDArray[np.int64]:
        return np.array(self._encode(text), dtype=np.int64)

    def encode_many(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        flat: list[int] = []
        lengths = []
        for text in texts:
            ids = self._encode(text)
            flat += ids
            lengths.append(len(ids))
        return np.array(flat, dtype=np.int64), np.array(lengths, dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        return self._tokenizer.join(self._tokens[n] for n in ids if n >= len(SPECIALS) or n == UNK)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        return [printable(self._tokens[n]) for n in ids]

    def _encode(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._chunk_ids.__getitem__, self._tokenizer.chunks(text))))


class _Remembered(dict[str, tuple[int, ...]]):
    """The ids of chunks, worked out at first sight."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        super().__init__()
        self._vocabulary = vocabulary

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        ids = self._vocabulary.chunk_ids(chunk)
        if len(self) < KEPT_CHUNKS and len(chunk) <= KEPT_CHARACTERS:
            self[chunk] = ids
        return ids


def count_tokens(texts: Iterable[str], tokenizer: Tokenizer) -> Counter[str]:
    """How often each token occurs. Chunks are counted first, so that each distinct one is split but once."""
    tokens: Counter[str] = Counter()
    chunks: Counter[str] = Counter()

    def split_chunks() -> None:
        for chunk, count in chunks.items():
            for token in tokenizer.tokens(chunk):
                tokens[token] += count
        chunks.clear()

    for text in texts:
        chunks.update(tokenizer.chunks(text))
        if len(chunks) > KEPT_CHUNKS:
            split_chunks()
    split_chunks()
    return tokens


def count_characters(texts: Iterable[str], counts: Counter[str]) -> Iterator[str]:
    """The same texts, each counted into `counts` as it passes."""
    for text in texts:
        counts.update(text)
        yield text
