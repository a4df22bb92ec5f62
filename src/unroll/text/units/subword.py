"""The unit `subword`: pieces of words learned by SentencePiece, set up so that every text comes back as it was.

Kudo and Richardson (2018), "SentencePiece: A simple and language independent subword tokenizer". No normalisation, no
white space added or taken, and characters without a piece become their bytes, a newline among them: lines are learned
from one by one. SentencePiece writes a space as U+2581, so a U+2581 of the text itself is escaped.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import sentencepiece
from numpy.typing import NDArray
from pydantic import Field

from unroll.errors import UserError
from unroll.files import damaged, whole_file, write_json
from unroll.settings import Count, Settings
from unroll.text.chunks import Rows, gathered, interleaved, joined, parted, plain_words
from unroll.text.shards import Texts
from unroll.text.specials import BOS, EOS, PAD, SPECIALS, UNK
from unroll.text.tallies import strings
from unroll.text.units.remembered import Remembered
from unroll.text.vocabulary import Vocabulary, printable

BYTES = 256
SAMPLE_CHARACTERS = 20_000_000  # what is learned from at most; more takes minutes and changes little
POWERS = 48  # of two; there are fewer lines than the largest
LINE_CHARACTERS = 1_000  # at most 4 bytes each: SentencePiece leaves out what has more than 4,192

_SPACE, _ESCAPE = "\u2581", "\x1a"
_ESCAPED_ESCAPE, _ESCAPED_SPACE = _ESCAPE + "0", _ESCAPE + "1"
_SHORT_LINES = re.compile(rf"(?s).{{1,{LINE_CHARACTERS}}}(?= |\Z)|.{{{LINE_CHARACTERS}}}").findall
_BYTE = re.compile(r"<0x([0-9A-F]{2})>").fullmatch


class SubwordSettings(Settings):
    """Pieces learned from the training split."""

    unit: Literal["subword"]
    max_size: Annotated[Count, Field(gt=len(SPECIALS) + BYTES, le=1_000_000)]
    """Pieces, with 4 special ones and 256 bytes; there are fewer if the text does not have as many."""
    model: Literal["unigram", "bpe"] = "unigram"
    """How SentencePiece learns them."""


class SubwordVocabulary(Vocabulary):
    """The pieces of a SentencePiece model; no text has unknown ones."""

    unit: ClassVar[str] = "subword"
    invertible = True

    def __init__(self, model: bytes) -> None:
        self._bytes = model
        self._model = sentencepiece.SentencePieceProcessor(model_proto=model)
        self._first = Remembered(self._encode_each)
        self._later = Remembered(lambda words: self._encode_each([f" {word}" for word in words]))

    @classmethod
    def build(cls, texts: Texts, settings: SubwordSettings) -> Self:
        """Learn from `texts`, or from an evenly spaced part if they are very long.

        Raises `UserError` if there is no text or it has more characters than `max_size` has room for.
        """
        lines = _sample(texts, SAMPLE_CHARACTERS)
        if not lines:
            raise UserError("unit subword: there is no text to learn pieces from")
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=model,
                model_type=settings.model,
                vocab_size=settings.max_size,
                hard_vocab_limit=False,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                add_dummy_prefix=False,
                allow_whitespace_only_pieces=True,
                byte_fallback=True,
                **_special_pieces(),
                num_threads=1,  # the number of threads changes the model
                minloglevel=2,
            )
        except RuntimeError as error:
            raise UserError(_explain(str(error), settings.max_size)) from None
        return cls(model.getvalue())

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        path = folder / f"{stem}.model"
        with suppress(RuntimeError, OSError):
            found = cls(path.read_bytes())
            if tuple(found._model.id_to_piece(n) for n in range(min(len(found), len(SPECIALS)))) == SPECIALS:
                return found  # an empty file, for instance, is an empty model
        raise damaged(path, "no SentencePiece model")

    def save(self, folder: Path, stem: str) -> None:
        with whole_file(folder / f"{stem}.model", "wb") as file:
            file.write(self._bytes)
        pieces = self._model.id_to_piece(list(range(len(self))))
        write_json(folder / f"{stem}.json", {"unit": self.unit, "characters": list(map(_characters, pieces))})

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._bytes,)

    def __len__(self) -> int:
        return len(self._model)

    def encode(self, text: str) -> NDArray[np.int64]:
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        is_plain, plain_texts, others = parted(texts)
        plain = self._encode_plain(plain_texts)
        return interleaved(is_plain, plain, _flat(self._encode_each(others))) if others else plain

    def _encode_plain(self, texts: list[str]) -> Rows:
        """Texts with single spaces between words; no piece has letters on both sides of a space, so each distinct word
        is encoded once, with the space before it. Only the choice between equally good pieces may be another."""
        words, (places_N, counts_B) = plain_words(texts)
        distinct = strings(words)
        first_B = np.cumsum(counts_B) - counts_B
        firsts, places_N[first_B] = np.unique(places_N[first_B], return_inverse=True)
        places_N[first_B] += len(distinct)  # a text begins without a space
        rows = self._later.rows(distinct), self._first.rows([distinct[place] for place in firsts])
        return gathered(joined(*rows), places_N, counts_B)

    def _encode_each(self, texts: list[str]) -> list[list[int]]:
        found: list[list[int]] = self._model.encode([_escape(text) for text in texts], num_threads=1)
        return found

    def sample_many(self, texts: Sequence[str], alpha: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """As `encode_many`, in pieces that are drawn: see `text.sampling`; the same `seed` draws the same."""
        # The library seeds each thread's generator once, when it begins, and a list of texts begins a new thread.
        sentencepiece.set_random_generator_seed(seed)
        escaped = [_escape(text) for text in texts]
        return _flat(self._model.encode(escaped, enable_sampling=True, alpha=alpha, nbest_size=-1, num_threads=1))

    def decode(self, ids: Iterable[int]) -> str:
        text: str = self._model.decode([int(n) for n in ids])
        return text.replace(_ESCAPED_SPACE, _SPACE).replace(_ESCAPED_ESCAPE, _ESCAPE) if _ESCAPE in text else text

    def tokens(self, ids: Iterable[int]) -> list[str]:
        return [printable(self._model.id_to_piece(int(n))) for n in ids]

    def unknown_tokens(self, text: str) -> list[str]:
        return []

    def unknown_nats(self, text: str) -> float:
        return 0.0


def _flat(rows: Sequence[Sequence[int]]) -> Rows:
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum())), lengths


def _special_pieces() -> dict[str, Any]:
    named = dict(zip(("pad", "unk", "bos", "eos"), (PAD, UNK, BOS, EOS), strict=True))
    ids = {f"{name}_id": number for name, number in named.items()}
    return {**ids, **{f"{name}_piece": SPECIALS[n] for name, n in named.items()}, "unk_surface": SPECIALS[UNK]}


def _escape(text: str) -> str:
    if _SPACE in text or _ESCAPE in text:
        return text.replace(_ESCAPE, _ESCAPED_ESCAPE).replace(_SPACE, _ESCAPED_SPACE)
    return text


def _characters(piece: str) -> int:
    """How many characters of the text a piece stands for; a character in bytes counts at its first."""
    byte = _BYTE(piece)
    if byte:
        value = int(byte[1], 16)
        return int(not 0x80 <= value < 0xC0 and value != ord(_ESCAPE))
    return 0 if piece in SPECIALS else len(piece) - piece.count(_ESCAPE)


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """The lines of `texts` as SentencePiece takes them: short, escaped and without NUL, at which it ends a line."""
    for text in texts:
        for line in _escape(text).replace("\0", "").split("\n"):
            if len(line) > LINE_CHARACTERS:
                yield from _SHORT_LINES(line)
            elif line:
                yield line


def _sample(texts: Texts, characters: int) -> list[str]:
    """All lines; or every second, fourth ..., so that they have at most so many characters, or are a single one."""
    total = 0
    firsts = []  # how many lines there are before each shard
    sums = [0] * POWERS  # characters of every line, every second, every fourth ...
    for lengths in texts.map(_line_lengths):
        firsts.append(total)
        for n in range(POWERS):
            sums[n] += int(lengths[-total % (1 << n) :: 1 << n].sum())
        total += len(lengths)
    step = next(1 << n for n, found in enumerate(sums) if found <= characters or total <= 1 << n)
    return [line for lines in texts.map(partial(_every, step), firsts) for line in lines]


def _line_lengths(texts: Iterable[str]) -> NDArray[np.int64]:
    """How many characters each line of a shard has."""
    return np.fromiter(map(len, _lines(texts)), dtype=np.int64)


def _every(step: int, texts: Iterable[str], first: int) -> list[str]:
    """The lines of a shard whose number is a multiple of `step`; that of its first line is `first`."""
    return list(islice(_lines(texts), -first % step, None, step))


def _explain(message: str, size: int) -> str:
    needed = re.search(r"required_chars\. \d+ vs (\d+)", message)
    if needed:
        return f"unit subword: max_size is {size}; the characters of the text alone need {needed[1]}"
    return f"unit subword: SentencePiece found: {message.strip()}"
