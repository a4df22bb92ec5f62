"""The unit `char`: characters are Unicode code points."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from unroll.files import write_json
from unroll.settings import Count, Settings, rule
from unroll.stored import read_stored
from unroll.text.counting import CharacterCounts
from unroll.text.shards import Texts
from unroll.text.specials import SPECIALS, UNK
from unroll.text.tallies import tally
from unroll.text.vocabulary import CODE_POINTS, EncodedTexts, StoredTokens, Vocabulary, by_count, printable
from unroll.workers import batches


class CharSettings(Settings):
    """Characters of the training split."""

    unit: Literal["char"]
    min_count: Count = 1
    """Characters seen less often are unknown."""


class StoredCharacters(StoredTokens):
    """What `save` writes."""

    @rule
    def _tokens_are_characters(self) -> Iterator[str]:
        if any(len(token) != 1 for token in self.entries):
            yield "`tokens` should be characters"


class CharVocabulary(Vocabulary):
    """The most frequent characters first; any other character is UNK, and its spelling is charged."""

    unit: ClassVar[str] = "char"
    invertible = True

    def __init__(self, characters: Sequence[str]) -> None:
        self._tokens = [*SPECIALS, *characters]
        codes = np.array([ord(c) for c in characters], dtype=np.int64)
        # Every code point above the known ones is read at the last place, which is unknown.
        self._ids = np.full(codes.max(initial=0) + 2, UNK, dtype=np.int64)
        self._ids[codes] = np.arange(len(SPECIALS), len(self._tokens))

    @property
    def characters(self) -> list[str]:
        """What is known, without the specials."""
        return self._tokens[len(SPECIALS) :]

    @classmethod
    def build(cls, texts: Texts, settings: CharSettings) -> Self:
        """The characters that `texts` have at least `min_count` times."""
        counts = CharacterCounts()
        for found in texts.map(_count):
            counts.merge(found)
        return cls(by_count(counts.at_least(settings.min_count)))

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        return cls(read_stored(folder / f"{stem}.json", StoredCharacters).entries)

    def save(self, folder: Path, stem: str) -> None:
        write_json(folder / f"{stem}.json", {"unit": self.unit, "tokens": self._tokens})

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.characters,)

    def __len__(self) -> int:
        return len(self._tokens)

    def encode(self, text: str) -> NDArray[np.int64]:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        ids: NDArray[np.int64] = self._ids[np.minimum(codes, len(self._ids) - 1)]
        return ids

    def encode_many(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self.encode("".join(texts)), np.array([len(text) for text in texts], dtype=np.int64)

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        ids, lengths = self.encode_many(texts)
        text = "".join(texts)
        unknown = Counter(text[n] for n in np.flatnonzero(ids == UNK))
        return EncodedTexts(ids, lengths, tally(list(unknown), list(unknown.values())))

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self._tokens[n] for n in ids if n >= len(SPECIALS) or n == UNK)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        return [printable(self._tokens[n]) for n in ids]

    def unknown_tokens(self, text: str) -> list[str]:
        return [text[n] for n in np.flatnonzero(self.encode(text) == UNK)]

    def unknown_nats(self, text: str) -> float:
        """An unknown character is any of the code points that are not known, each as likely."""
        count = int((self.encode(text) == UNK).sum())
        return count * math.log(CODE_POINTS - (len(self) - len(SPECIALS)))


def _count(texts: Iterable[str]) -> CharacterCounts:
    """The characters of a shard."""
    counts = CharacterCounts()
    for batch in batches(texts):
        counts.add(batch)
    return counts
