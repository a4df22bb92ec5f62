"""The unit `word`: a closed vocabulary of whole words; what it lacks is spelled."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unroll.files import write_json
from unroll.settings import Count, Settings
from unroll.stored import read_stored
from unroll.text.chunks import are_tokens
from unroll.text.shards import Texts
from unroll.text.specials import SPECIALS, UNK
from unroll.text.spelling import SpellingModel
from unroll.text.tokenizer import Tokenizer, TokenizerName
from unroll.text.units.tokens import TokenVocabulary, count_tokens
from unroll.text.vocabulary import StoredTokens

SPELLING_WORDS = 20_000


class WordSettings(Settings):
    """Words of the training split."""

    unit: Literal["word"]
    max_size: Count | None = None
    """Words kept, the most frequent, the four special tokens apart; null: all."""
    min_count: Count = 1
    """Words seen less often are unknown."""
    tokenizer: TokenizerName = "joiner"
    """joiner: words and punctuation apart; whitespace: only what white space parts. Both give the text back."""
    lowercase: bool = False
    """Cannot be undone: no bits per character then."""


class StoredTokenizer(Settings):
    """How the text was split."""

    tokenizer: TokenizerName
    lowercase: bool


class StoredWords(StoredTokens):
    """What `save` writes."""

    spelling: list[str]
    settings: StoredTokenizer


class WordVocabulary(TokenVocabulary):
    """The most frequent words first; any other word is UNK, and its spelling is charged."""

    unit: ClassVar[str] = "word"

    def __init__(
        self, words: Sequence[str], spelling_words: Sequence[str], tokenizer: TokenizerName, lowercase: bool
    ) -> None:
        super().__init__(words, Tokenizer(tokenizer, lowercase))
        self._spelling_words = spelling_words
        self._settings = {"tokenizer": tokenizer, "lowercase": lowercase}

    @classmethod
    def build(cls, texts: Texts, settings: WordSettings) -> Self:
        """The `max_size` most frequent words of `texts` among those that occur at least `min_count` times."""
        counts = count_tokens(texts, Tokenizer(settings.tokenizer, settings.lowercase))
        kept = [word for word, _ in counts.ranked(settings.max_size, settings.min_count)]
        # Words whose spelling is like that of unknown ones; nothing is charged that cannot be undone.
        spelling_words = [] if settings.lowercase else counts.rarest(SPELLING_WORDS)
        return cls(kept, spelling_words, settings.tokenizer, settings.lowercase)

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        stored = read_stored(folder / f"{stem}.json", StoredWords)
        return cls(stored.entries, stored.spelling, stored.settings.tokenizer, stored.settings.lowercase)

    def save(self, folder: Path, stem: str) -> None:
        stored = {
            "unit": self.unit,
            "settings": self._settings,
            "tokens": self._tokens,
            "spelling": self._spelling_words,
        }
        write_json(folder / f"{stem}.json", stored)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._tokens[len(SPECIALS) :], self._spelling_words, *self._settings.values())

    def token_ids(self, token: str) -> tuple[int]:
        return (self._ids.get(token, UNK),)

    def chunk_ids(self, chunk: str) -> tuple[int, ...]:
        known = self._ids.get
        return tuple([known(token, UNK) for token in self._tokenizer.tokens(chunk)])

    def word_ids(self, words: pa.LargeStringArray) -> NDArray[np.int64]:
        entries, entry_ids = self._single
        if len(words) < len(entries) // 8:  # Arrow makes a table of all entries each time
            return super().word_ids(words)
        places = pc.index_in(words, value_set=entries).fill_null(-1).to_numpy()
        ids_D: NDArray[np.int64] = np.append(entry_ids, -1)[places]
        lost = np.flatnonzero(places < 0)
        ids_D[lost[self.are_tokens(words.take(lost))]] = UNK
        return ids_D

    def are_tokens(self, stretches: pa.LargeStringArray) -> NDArray[np.bool_]:
        return are_tokens(self._tokenizer, stretches)

    @cached_property
    def _single(self) -> tuple[pa.LargeStringArray, NDArray[np.int64]]:
        """The entries that are chunks as they are, with the id of each."""
        entries = pa.array(self._tokens[len(SPECIALS) :], pa.large_string())
        places = np.flatnonzero(are_tokens(self._tokenizer, entries))
        return entries.take(places), places + len(SPECIALS)

    def split(self, text: str) -> list[str]:
        """The tokens of `text`, one an id."""
        return self._tokenizer.split(text)

    def decode(self, ids: Iterable[int], unknown: Iterable[str] = ()) -> str:
        """As every unit does, but with the tokens `unknown` in place of UNK, in order, as far as there are any."""
        tokens = iter(unknown)
        said = (n for n in ids if n >= len(SPECIALS) or n == UNK)
        return self._tokenizer.join(next(tokens, self._tokens[n]) if n == UNK else self._tokens[n] for n in said)

    def unknown_tokens(self, text: str) -> list[str]:
        return [token for token in self._tokenizer.split(text) if token not in self._ids]

    def unknown_nats(self, text: str) -> float | None:
        return sum(map(self._spelling.nats, self.unknown_tokens(text)), start=0.0) if self.invertible else None

    @cached_property
    def _spelling(self) -> SpellingModel:
        return SpellingModel(self._spelling_words, chain.from_iterable(self._ids))
