"""The unit `hybrid`: frequent words have ids of their own, all others are spelled by the model itself.

Luong and Manning (2016), "Achieving open vocabulary neural machine translation with hybrid word-character models". The
vocabulary is open: a token that is none of its words gets an id behind theirs when it is first met, so that ids of
spelled tokens hold for one vocabulary object and for what it encoded. A model reads and writes such a token by its
characters. Tokens are those of the joiner tokenizer, and every text comes back as it was.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from unroll.files import write_json
from unroll.settings import Count, Settings
from unroll.stored import read_stored
from unroll.text.chunks import Chunks, Rows
from unroll.text.counting import CharacterCounts, SplitCounts
from unroll.text.shards import Texts
from unroll.text.specials import SPECIALS, UNK
from unroll.text.tokenizer import ESCAPE, JOINER, Tokenizer
from unroll.text.units.char import CharVocabulary
from unroll.text.units.tokens import TokenVocabulary, count_tokens
from unroll.text.vocabulary import CODE_POINTS, StoredTokens, by_count

LONGEST = 64  # characters of a token; what is longer is cut, since a model spells a token in one go

_ALWAYS = {JOINER, ESCAPE, "0", "1"}  # what the tokenizer writes is no character of the text that could be charged


class HybridSettings(Settings):
    """Words and characters of the training split."""

    unit: Literal["hybrid"]
    max_words: int = Field(ge=0, le=10**12)
    """Words and punctuation marks with an id of their own, the most frequent; all others are spelled."""
    min_count: Annotated[Count, Field(ge=2)] = 2
    """Words seen less often are spelled: those seen once teach the model how rare words are written."""
    min_char_count: Count = 1
    """Characters seen less often are unknown."""


class StoredHybrid(StoredTokens):
    """What `save` writes."""

    characters: list[Annotated[str, Field(min_length=1, max_length=1)]]


class HybridVocabulary(TokenVocabulary):
    """The most frequent words first; any other token has an *open* id, at least `len(vocabulary)`.

    Nothing is UNK: that is what a model says before it spells a token.
    """

    unit: ClassVar[str] = "hybrid"

    def __init__(self, words: Sequence[str], characters: Sequence[str]) -> None:
        super().__init__(words, Tokenizer("joiner", lowercase=False))
        self._words = len(self._tokens)
        self.characters = CharVocabulary(characters)
        """Of spelled tokens; their START is BOS and their END is EOS."""

    @classmethod
    def build(cls, texts: Texts, settings: HybridSettings) -> Self:
        """The `max_words` most frequent words among those seen `min_count` times, and the characters of `texts`."""
        seen, counts = CharacterCounts(), SplitCounts(pieces, _are_short)
        for part in count_tokens(texts, Tokenizer("joiner", lowercase=False), seen).parts():
            counts.add(part)
        words = [word for word, _ in counts.tokens.ranked(settings.max_words, settings.min_count)]
        return cls(words, by_count(seen.at_least(settings.min_char_count) | {c: seen[c] for c in _ALWAYS}))

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        stored = read_stored(folder / f"{stem}.json", StoredHybrid)
        return cls(stored.entries, stored.characters)

    def save(self, folder: Path, stem: str) -> None:
        characters = self.characters.characters
        stored = {"unit": self.unit, "characters": characters, "tokens": self._tokens[: self._words]}
        write_json(folder / f"{stem}.json", stored)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._tokens[len(SPECIALS) : self._words], self.characters.characters)

    def __len__(self) -> int:
        return self._words

    @property
    def spelled(self) -> list[str]:
        """The tokens with open ids, in the order of these."""
        return self._tokens[self._words :]

    def _rows(self, chunks: Chunks) -> Rows:
        if chunks.others:  # open ids are given in the order of the text, in which the words are already
            self._known.rows(chunks.in_order())
        return super()._rows(chunks)

    def token_ids(self, token: str) -> list[int]:
        return [self.id_of(piece) for piece in pieces(token)]

    def id_of(self, token: str) -> int:
        """The id of a token of at most `LONGEST` characters; one that is met for the first time gets the next."""
        known = self._ids.get(token)
        if known is None:
            known = self._ids[token] = len(self._tokens)
            self._tokens.append(token)
        return known

    def token(self, token: int) -> str:
        """The token of an open id."""
        return self._tokens[token]

    def spelling(self, token: int) -> NDArray[np.int64]:
        """The characters (L,) of an open id."""
        return self.characters.encode(self._tokens[token])

    def unknown_tokens(self, text: str) -> list[str]:
        return []

    def unknown_nats(self, text: str) -> float:
        """An unknown character of a spelled token is any code point that is not known, each as likely."""
        spelled = (n for n in self.encode(text).tolist() if n >= self._words)
        unknown = sum(int((self.spelling(n) == UNK).sum()) for n in spelled)
        return unknown * math.log(CODE_POINTS - len(self.characters.characters))


def pieces(token: str) -> Iterator[str]:
    """`token`, or pieces of it with at most `LONGEST` characters that `join` puts together again.

    Only words and white space are longer: punctuation marks are single, and nothing else carries a joiner.
    """
    if len(token) <= LONGEST:
        yield token
        return
    mark = "" if token.isspace() else JOINER
    step = LONGEST - len(mark)
    for start in range(0, len(token), step):
        yield token[start : start + step] + (mark if start + step < len(token) else "")


def _are_short(tokens: pa.LargeStringArray) -> NDArray[np.bool_]:
    """Which tokens are but one piece."""
    lengths: NDArray[np.int64] = pc.utf8_length(tokens).to_numpy(zero_copy_only=False)
    return lengths <= LONGEST
