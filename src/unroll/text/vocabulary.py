"""Vocabularies: what every unit offers, and how they are built, kept and found again."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from unroll.checksums import verify, write_sums
from unroll.engine import LOCAL, Engine
from unroll.errors import UserError
from unroll.files import damaged, read_json, whole_folder, write_json
from unroll.settings import Settings, rule
from unroll.stored import read_stored
from unroll.text.shards import Texts
from unroll.text.specials import SPECIALS, UNK
from unroll.text.tallies import tally
from unroll.text.tokenizer import JOINER

if TYPE_CHECKING:
    from unroll.text.settings import DatasetSettings, UnitSettings

INDEX = "vocabularies.json"
CODE_POINTS = 0x110000


class EncodedTexts(NamedTuple):
    """N texts, T ids."""

    ids: NDArray[np.integer[Any]]
    """Of all texts, one after the other (T,)."""
    lengths: NDArray[np.int64]
    """How many each text has (N,)."""
    unknown: pa.Table
    """A tally of stretches of the texts that have all unknown tokens."""


class Vocabulary(ABC):
    """From text to ids and back; ids 0 to 3 are the specials of `unroll.text.specials` in every unit."""

    unit: ClassVar[str]
    invertible: bool
    """Whether `decode(encode(text)) == text` for every text without unknown tokens."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, stem: str) -> Self:
        """What `save` wrote as `stem`."""

    @abstractmethod
    def __len__(self) -> int:
        """How many ids a model predicts, the specials included; the open ids of unit `hybrid` come behind them."""

    @abstractmethod
    def encode(self, text: str) -> NDArray[np.int64]:
        """The ids (T,) of `text`, with UNK for unknown tokens and no other special."""

    def encode_many(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ids of all texts one after the other, and how many each text has (N,)."""
        rows = [self.encode(text) for text in texts]
        flat = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
        return flat, np.array([len(row) for row in rows], dtype=np.int64)

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        """As `encode_many`, and what is unknown of the texts."""
        ids, lengths = self.encode_many(texts)
        rows = np.unique(np.repeat(np.arange(len(texts)), lengths)[ids == UNK])
        return EncodedTexts(ids, lengths, tally([texts[row] for row in rows], np.ones(len(rows), dtype=np.int64)))

    @abstractmethod
    def __reduce__(self) -> tuple[Any, ...]:
        """What another process makes the same vocabulary of, without what this one remembers."""

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of any ids; PAD, BOS and EOS are dropped, UNK is shown as `<unk>`."""

    @abstractmethod
    def tokens(self, ids: Iterable[int]) -> list[str]:
        """One printable piece an id, to be shown to a person."""

    def sentence_ends(self) -> list[int]:
        """The ids whose token ends a sentence: one that ends in . ! or ? or their like."""
        tokens = self.tokens(range(len(self)))
        return [n for n, token in enumerate(tokens) if token.rstrip(_AFTER_SENTENCE).endswith(_SENTENCE_ENDS)]

    @abstractmethod
    def unknown_tokens(self, text: str) -> list[str]:
        """The tokens of `text` that are encoded as UNK, in order."""

    def are_tokens(self, stretches: pa.LargeStringArray) -> NDArray[np.bool_]:
        """Which unknown stretches of `encode_counted` are an unknown token as they are, as far as it is known."""
        return np.zeros(len(stretches), dtype=np.bool_)

    @abstractmethod
    def unknown_nats(self, text: str) -> float | None:
        """What spelling the unknown tokens of `text` costs, in nats; None if the unit is not invertible."""

    @abstractmethod
    def save(self, folder: Path, stem: str) -> None:
        """Write what `load` needs to `folder`, as `stem.json` and files beside it."""


class Index(Settings):
    """What `INDEX` holds."""

    fields: dict[str, Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]]
    """The name of each field's vocabulary, a file beside it."""


class StoredTokens(Settings):
    """What `save` writes of a unit that has tokens of its own."""

    unit: str
    tokens: list[str]
    """By their ids."""

    @property
    def entries(self) -> list[str]:
        """The tokens behind the specials."""
        return self.tokens[len(SPECIALS) :]

    @rule
    def _specials_come_first(self) -> Iterator[str]:
        if tuple(self.tokens[: len(SPECIALS)]) != SPECIALS:
            yield f"`tokens` should begin with {', '.join(SPECIALS)}"

    @rule
    def _tokens_differ(self) -> Iterator[str]:
        if len(set(self.entries)) < len(self.entries):
            yield "`tokens` should hold each token once"
        if "" in self.entries:
            yield "`tokens` should hold no empty one"

    @rule
    def _tokens_are_unicode(self) -> Iterator[str]:
        try:
            "".join(self.tokens).encode("utf-8")
        except UnicodeEncodeError:
            yield "`tokens` should be valid Unicode, without lone surrogates"


def build_vocabulary(texts: Texts | Iterable[str], settings: "UnitSettings") -> Vocabulary:
    """The vocabulary of `texts`; raises `UserError` if they do not suffice."""
    texts = texts if isinstance(texts, Texts) else Texts([list(texts)])
    from unroll.text.units.char import CharVocabulary
    from unroll.text.units.hybrid import HybridVocabulary
    from unroll.text.units.subword import SubwordVocabulary
    from unroll.text.units.syllable import SyllableVocabulary
    from unroll.text.units.word import WordVocabulary

    match settings.unit:
        case "char":
            return CharVocabulary.build(texts, settings)
        case "word":
            return WordVocabulary.build(texts, settings)
        case "subword":
            return SubwordVocabulary.build(texts, settings)
        case "syllable":
            return SyllableVocabulary.build(texts, settings)
        case "hybrid":
            return HybridVocabulary.build(texts, settings)


def save_vocabularies(
    raw: Path, settings: "DatasetSettings", folder: Path, engine: Engine = LOCAL
) -> dict[str, Vocabulary]:
    """Build the vocabularies of a dataset from the training split of the corpus in `raw`; write `folder`.

    `engine` counts.
    A shared vocabulary is built from the texts of all fields that share it, and kept once.
    """
    verify(raw)
    owners = settings.owners
    built = {}
    for owner in sorted(set(owners.values())):
        columns = [settings.column(field) for field in owners if owners[field] == owner]
        built[owner] = build_vocabulary(Texts.of_corpus(raw, "train", columns, engine), settings.unit(owner))
    with whole_folder(folder) as part:
        for stem, vocabulary in built.items():
            vocabulary.save(part, stem)
        write_json(part / INDEX, {"fields": owners})
        write_sums(part)
    return {field: built[owner] for field, owner in owners.items()}


def load_vocabularies(folder: Path) -> dict[str, Vocabulary]:
    """The vocabulary of each field; fields that share one get the same object."""
    verify(folder)
    fields = vocabulary_stems(folder)
    loaded = {stem: _load(folder, stem) for stem in sorted(set(fields.values()))}
    return {field: loaded[stem] for field, stem in fields.items()}


def vocabulary_stems(folder: Path) -> dict[str, str]:
    """The name, in `folder`, of each field's vocabulary."""
    if not (folder / INDEX).is_file():
        raise UserError(f"{folder / INDEX}: no such file; build the vocabularies first")
    return read_stored(folder / INDEX, Index).fields


def _load(folder: Path, stem: str) -> Vocabulary:
    from unroll.text.units.char import CharVocabulary
    from unroll.text.units.hybrid import HybridVocabulary
    from unroll.text.units.subword import SubwordVocabulary
    from unroll.text.units.syllable import SyllableVocabulary
    from unroll.text.units.word import WordVocabulary

    units: list[type[Vocabulary]] = [
        CharVocabulary,
        WordVocabulary,
        SubwordVocabulary,
        SyllableVocabulary,
        HybridVocabulary,
    ]
    path = folder / f"{stem}.json"
    if not path.is_file():
        raise damaged(path, "there is no such file")
    known, stored = {unit.unit: unit for unit in units}, read_json(path)
    stated = stored.get("unit") if isinstance(stored, dict) else None
    if not isinstance(stated, str) or stated not in known:
        raise damaged(path, f"should have a `unit`, one of {', '.join(known)}")
    return known[stated].load(folder, stem)


def by_count(counts: Mapping[str, int]) -> list[str]:
    """The tokens of `counts`, the most frequent first; equal counts in the order of the tokens themselves."""
    return sorted(counts, key=lambda token: (-counts[token], token))


_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", "؟", "।")
_AFTER_SENTENCE = f" ␣⏎{JOINER}"  # joints and white space, as tokens show them
_SHOWN = {" ": "␣", "\n": "⏎", "\t": "⇥"}


def printable(token: str) -> str:
    """`token` with visible signs for white space and escapes for what has no glyph."""
    if token.isprintable() and " " not in token:
        return token
    return "".join(
        _SHOWN.get(c) or (c if c.isprintable() else c.encode("unicode_escape").decode("ascii")) for c in token
    )
