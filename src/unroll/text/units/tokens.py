"""What the units share whose ids stand for a tokenizer's tokens or parts of them: how text is counted and encoded."""

from abc import abstractmethod
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from unroll.text.chunks import chunks_of, spread
from unroll.text.counting import CharacterCounts, SplitCounts, TokenCounts
from unroll.text.shards import Texts
from unroll.text.specials import SPECIALS, UNK
from unroll.text.tokenizer import Tokenizer
from unroll.text.vocabulary import EncodedTexts, Vocabulary, printable
from unroll.workers import batches

KEPT_CHUNKS, KEPT_CHARACTERS = 500_000, 10_000_000  # of which the ids are remembered


class TokenVocabulary(Vocabulary):
    """Ids of the tokens of a `Tokenizer`; `entries` are named by the ids behind those of the specials."""

    def __init__(self, entries: Sequence[str], tokenizer: Tokenizer) -> None:
        self._tokens = [*SPECIALS, *entries]
        self._ids = {entry: n for n, entry in enumerate(entries, start=len(SPECIALS))}
        self._tokenizer = tokenizer
        self._known = _Known(self)
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
        known, chunks = self._remembered, chunks_of(self._tokenizer, texts)
        numbers_D = np.fromiter(map(known.__getitem__, chunks.distinct), np.int64, len(chunks.distinct))
        begins, flat = (np.frombuffer(part, part.typecode) for part in (known.begins, known.flat))
        begins_D, sizes_D = begins[numbers_D], np.diff(begins)[numbers_D]
        if (sizes_D == 1).all():
            ids, lengths_B = flat[begins_D][chunks.places_N], chunks.counts_B
        else:
            sizes_N = sizes_D[chunks.places_N]
            ids = flat[spread(begins_D[chunks.places_N], sizes_N)]
            lengths_B = np.diff(np.append(0, np.cumsum(sizes_N))[np.cumsum(chunks.counts_B)], prepend=0)
        unknown_before = np.append(0, np.cumsum(flat == UNK))
        unknown_D = unknown_before[begins_D + sizes_D] > unknown_before[begins_D]
        lost = Counter[str]()
        for n, total in zip(np.flatnonzero(unknown_D).tolist(), chunks.totals()[unknown_D].tolist(), strict=True):
            lost[chunks.distinct[n]] += total
        return EncodedTexts(ids, lengths_B, lost)

    def decode(self, ids: Iterable[int]) -> str:
        return self._tokenizer.join(self._tokens[n] for n in ids if n >= len(SPECIALS) or n == UNK)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        return [printable(self._tokens[n]) for n in ids]

    @property
    def _remembered(self) -> "_Known":
        """The chunks met so far, of which there are never too many."""
        if len(self._known) > KEPT_CHUNKS or self._known.characters > KEPT_CHARACTERS:
            self._known.forget()
        return self._known

    def _encode(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._remembered.ids, self._tokenizer.chunks(text))))


class _Known(dict[str, int]):
    """The numbers of chunks in the order in which they are first met, and the ids of each."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.clear()
        self.flat = array("q")  # the ids of all chunks one after the other
        self.begins = array("q", [0])  # where those of each begin, and the end
        self.characters = 0

    def __missing__(self, chunk: str) -> int:
        number = self[chunk] = len(self)
        ids = self._vocabulary.chunk_ids(chunk)
        self.flat.extend(ids)
        self.begins.append(len(self.flat))
        self.characters += len(chunk)
        return number

    def ids(self, chunk: str) -> "array[int]":
        """The ids of a chunk."""
        number = self[chunk]
        return self.flat[self.begins[number] : self.begins[number + 1]]


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
        found = chunks_of(tokenizer, batch)
        counts.add(zip(found.distinct, found.totals().tolist(), strict=True))
    return counts.tokens, characters
