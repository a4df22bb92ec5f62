"""The phrasebook: sentence pairs of a small English-German grammar, made up on the spot and never ambiguous.

Each English sentence has one German translation ("you" is always "du", things are never "it"). The test part asks
for combinations of known words that training does not show; see `splits`.
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from unroll.settings import PathName, Seed, rule
from unroll.text.corpus import Corpus, Row
from unroll.text.sources.phrasebook.sentences import Sentence
from unroll.text.sources.phrasebook.splits import MOST, divide
from unroll.text.sources.settings import SourceSettings

Language = Literal["en", "de"]


class CorpusSettings(SourceSettings):
    """Sentence pairs from a grammar."""

    source: Literal["phrasebook"]
    path: PathName
    """What DVC watches: the folder of the grammar."""
    languages: list[Language]
    """The columns, in their order."""
    pairs: int = Field(default=30_000, ge=10, le=MOST)
    """Pairs over all splits."""
    seed: Seed = 1
    """Another seed, other sentences and another test."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(self.languages)

    @rule
    def _languages_differ(self) -> Iterator[str]:
        if sorted(self.languages) != ["de", "en"]:
            yield f"`languages` should be [en, de] or [de, en], found [{', '.join(self.languages)}]"


def read(settings: CorpusSettings) -> Corpus:
    """The corpus; its sentences are drawn when its rows are asked for."""
    return Corpus(
        columns=settings.column_names,
        licence="Apache-2.0",
        origin=f"sentences of the English-German grammar of unroll, seed {settings.seed}",
        rows=_rows(settings),
    )


def _rows(settings: CorpusSettings) -> Iterator[Row]:
    first, second = settings.languages
    for split, sentences in divide(settings.pairs, settings.seed).items():
        for sentence in sentences:
            yield split, (_text(sentence, first), _text(sentence, second))


def _text(sentence: Sentence, language: Language) -> str:
    return sentence.english if language == "en" else sentence.german
