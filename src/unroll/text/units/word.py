"""The unit `word`: a closed vocabulary of whole words; what it lacks is spelled."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unroll.files import read_json, write_json
from unroll.settings import Settings
from unroll.text.specials import SPECIALS, UNK
from unroll.text.spelling import SpellingModel
from unroll.text.tokenizer import Tokenizer, TokenizerName
from unroll.text.vocabulary import Vocabulary, by_count, printable

KEPT_CHUNKS = 500_000  # distinct chunks remembered
SPELLING_WORDS = 20_000


class WordSettings(Settings):
    """Words of the training split."""

    unit: Literal["word"]
    max_size: int | None = Field(default=None, ge=1)
    """Words kept, the most frequent, the four special tokens apart; null: all."""
    min_count: int = Field(default=1, ge=1)
    """Words seen less often are unknown."""
    tokenizer: TokenizerName = "joiner"
    """joiner: words and punctuation apart; whitespace: only what white space parts. Both give the text back."""
    lowercase: bool = False
    """Cannot be undone: no bits per character then."""


class WordVocabulary(Vocabulary):
    """The most frequent words first; any other word is UNK, and its spelling is charged."""

    unit: ClassVar[str] = "word"

    def __init__(
        self, words: Sequence[str], spelling_words: Sequence[str], tokenizer: TokenizerName, lowercase: bool
    ) -> None:
        self._tokens = [*SPECIALS, *words]
        self._ids = {word: n for n, word in enumerate(words, start=len(SPECIALS))}
        self._spelling_words = spelling_words
        self._settings = {"tokenizer": tokenizer, "lowercase": lowercase}
        self._tokenizer = Tokenizer(tokenizer, lowercase)
        self._chunk_ids = _Remembered(self._tokenizer, self._ids)
        self.invertible = self._tokenizer.invertible

    @classmethod
    def build(cls, texts: Iterable[str], settings: WordSettings) -> Self:
        """The `max_size` most frequent words of `texts` among those that occur at least `min_count` times."""
        counts = _count(texts, Tokenizer(settings.tokenizer, settings.lowercase))
        ranked = by_count(counts)
        kept = [word for word in ranked[: settings.max_size] if counts[word] >= settings.min_count]
        spelling_words = [] if settings.lowercase else _rarest(counts)  # nothing is charged that cannot be undone
        return cls(kept, spelling_words, settings.tokenizer, settings.lowercase)

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        stored: dict[str, Any] = read_json(folder / f"{stem}.json")
        return cls(stored["tokens"][len(SPECIALS) :], stored["spelling"], **stored["settings"])

    def save(self, folder: Path, stem: str) -> None:
        stored = {
            "unit": self.unit,
            "settings": self._settings,
            "tokens": self._tokens,
            "spelling": self._spelling_words,
        }
        write_json(folder / f"{stem}.json", stored)

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

    def unknown_tokens(self, text: str) -> list[str]:
        chunks = [chunk for chunk in self._tokenizer.chunks(text) if UNK in self._chunk_ids[chunk]]
        tokens = chain.from_iterable(map(self._tokenizer.tokens, chunks))
        return [token for token in tokens if token not in self._ids]

    def unknown_nats(self, text: str) -> float | None:
        return sum(map(self._spelling.nats, self.unknown_tokens(text)), start=0.0) if self.invertible else None

    def _encode(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._chunk_ids.__getitem__, self._tokenizer.chunks(text))))

    @cached_property
    def _spelling(self) -> SpellingModel:
        return SpellingModel(self._spelling_words, chain.from_iterable(self._ids))


class _Remembered(dict[str, tuple[int, ...]]):
    """The ids of chunks, worked out at first sight."""

    def __init__(self, tokenizer: Tokenizer, ids: dict[str, int]) -> None:
        super().__init__()
        self._tokenizer, self._ids = tokenizer, ids

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        ids = tuple(self._ids.get(token, UNK) for token in self._tokenizer.tokens(chunk))
        if len(self) < KEPT_CHUNKS:
            self[chunk] = ids
        return ids


def _count(texts: Iterable[str], tokenizer: Tokenizer) -> Counter[str]:
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


def _rarest(counts: Counter[str]) -> list[str]:
    """Words whose spelling is like that of unknown ones: the rarest, among equals by a checksum, in sorted order."""
    ranked = sorted(counts, key=lambda word: (counts[word], crc32(word.encode()), word))
    return sorted(ranked[:SPELLING_WORDS])
