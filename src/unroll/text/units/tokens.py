"""What the units share whose ids stand for a tokenizer's tokens or parts of them: how text is counted and encoded."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from unroll.text.chunks import Chunks, batches, cut
from unroll.text.counting import CharacterCounts, SplitCounts, TokenCounts
from unroll.text.shards import Texts
from unroll.text.specials import SPECIALS, UNK
from unroll.text.tokenizer import Tokenizer
from unroll.text.vocabulary import EncodedTexts, Vocabulary, printable

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
        ids, lengths, _ = self.encode_counted(texts)
        return ids.astype(np.int64, copy=False), lengths

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        chunks = _cut(texts, self._tokenizer)
        rows = [self._chunk_ids[chunk] for chunk in chunks.kinds]
        sizes = np.fromiter(map(len, rows), np.int64, len(rows))
        flat = np.fromiter(chain.from_iterable(rows), np.int64, int(sizes.sum()))
        each = sizes[chunks.numbers]
        reach = np.append(0, np.cumsum(each))
        # From a place among the ids of all chunks of the texts to that of the same id in `flat`.
        shift = (np.cumsum(sizes) - sizes)[chunks.numbers] - reach[:-1]
        ids = flat[np.repeat(shift, each) + np.arange(reach[-1])]
        unknown: Counter[str] = Counter()
        for chunk, row, count in zip(chunks.kinds, rows, chunks.counts(), strict=True):
            if UNK in row:
                unknown[chunk] += count
        return EncodedTexts(ids, np.diff(reach[chunks.ends], prepend=0), unknown)

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


def count_tokens(texts: Texts, tokenizer: Tokenizer, characters: CharacterCounts | None = None) -> TokenCounts:
    """How often each token occurs, and into `characters` how often each character does."""
    tokens = TokenCounts()
    for found, seen in texts.map(partial(_count, tokenizer, characters is not None)):
        tokens.merge(found)
        if characters and seen:
            characters.merge(seen)
    return tokens


def _count(tokenizer: Tokenizer, also: bool, texts: Iterable[str]) -> tuple[TokenCounts, CharacterCounts | None]:
    """The tokens of a shard, and its characters if these are to be counted, `also`."""
    counts = SplitCounts(tokenizer.tokens)
    characters = CharacterCounts() if also else None
    for batch in batches(texts):
        if characters:
            characters.add(batch)
        chunks = _cut(batch, tokenizer)
        counts.add(zip(chunks.kinds, chunks.counts(), strict=True))
    return counts.tokens, characters


def _cut(texts: Sequence[str], tokenizer: Tokenizer) -> Chunks:
    """The chunks of `texts` as `tokenizer` makes them."""
    return cut([text.lower() for text in texts] if tokenizer.lowercase else texts)
