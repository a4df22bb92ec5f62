"""What the units share whose ids stand for a tokenizer's tokens or parts of them: how text is counted and encoded."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unroll.text.chunks import Chunks, Rows, are_tokens, chunks_of, gathered
from unroll.text.counting import CharacterCounts, SplitCounts, TokenCounts
from unroll.text.shards import Texts
from unroll.text.specials import SPECIALS, UNK
from unroll.text.tallies import strings, tally
from unroll.text.tokenizer import Tokenizer
from unroll.text.units.remembered import Remembered
from unroll.text.vocabulary import EncodedTexts, Vocabulary, printable
from unroll.workers import batches


class TokenVocabulary(Vocabulary):
    """Ids of the tokens of a `Tokenizer`; `entries` are named by the ids behind those of the specials."""

    def __init__(self, entries: Sequence[str], tokenizer: Tokenizer) -> None:
        self._tokens = [*SPECIALS, *entries]
        self._ids = {entry: n for n, entry in enumerate(entries, start=len(SPECIALS))}
        self._tokenizer = tokenizer
        self._known = Remembered(lambda chunks: map(self.chunk_ids, chunks))
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
        return self._known.rows(self._tokenizer.chunks(text))[0]

    def encode_many(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        chunks = chunks_of(self._tokenizer, texts)
        return gathered(self._rows(chunks), chunks.places_N, chunks.counts_B)

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        chunks = chunks_of(self._tokenizer, texts)
        rows = self._rows(chunks)
        ends_D, unknown_before = np.cumsum(rows[1]), np.append(0, np.cumsum(rows[0] == UNK))
        unknown_D = unknown_before[ends_D] > unknown_before[ends_D - rows[1]]
        unknown = tally(chunks.distinct().filter(pa.array(unknown_D)), chunks.totals()[unknown_D])
        return EncodedTexts(*gathered(rows, chunks.places_N, chunks.counts_B), unknown)

    def _rows(self, chunks: Chunks) -> Rows:
        """The ids of each distinct chunk (D rows)."""
        ids_W = self.word_ids(chunks.words)
        rest = np.flatnonzero(ids_W < 0)
        found, sizes = self._known.rows([*strings(chunks.words.take(rest)), *chunks.others])
        sizes_D = np.ones(len(ids_W) + len(chunks.others), dtype=np.int64)
        sizes_D[rest], sizes_D[len(ids_W) :] = np.split(sizes, [len(rest)])
        flat = np.repeat(np.append(ids_W, np.full(len(chunks.others), -1)), sizes_D)
        flat[flat < 0] = found
        return flat, sizes_D

    def word_ids(self, words: pa.LargeStringArray) -> NDArray[np.int64]:
        """The ids of chunks without white space (D,), as far as they can be told all at once; else -1."""
        return np.full(len(words), -1)

    def decode(self, ids: Iterable[int]) -> str:
        return self._tokenizer.join(self._tokens[n] for n in ids if n >= len(SPECIALS) or n == UNK)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        return [printable(self._tokens[n]) for n in ids]


def count_tokens(texts: Texts, tokenizer: Tokenizer, characters: CharacterCounts | None = None) -> TokenCounts:
    """How often each token occurs, and into `characters` how often each character does."""
    tokens: TokenCounts | None = None
    for found, seen in texts.map(partial(_count, tokenizer, characters is not None)):
        if tokens is None:
            tokens = found  # mostly it is all there is
        else:
            tokens.merge(found)
        if characters and seen:
            characters.merge(seen)
    return TokenCounts() if tokens is None else tokens


def _count(tokenizer: Tokenizer, also: bool, texts: Iterable[str]) -> tuple[TokenCounts, CharacterCounts | None]:
    """The tokens of a shard, and its characters if these are to be counted, `also`."""
    counts = SplitCounts(tokenizer.tokens, partial(are_tokens, tokenizer))
    characters = CharacterCounts() if also else None
    for batch in batches(texts):
        if characters:
            characters.add(batch)
        chunks = chunks_of(tokenizer, batch)
        counts.add(tally(chunks.distinct(), chunks.totals()))
    return counts.tokens, characters
