"""The phrasebook: sentence pairs of a small English-German grammar, made up on the spot and never ambiguous.

Each English sentence has one German translation ("you" is always "du", things are never "it"). The test part asks
for combinations of known words that training does not show; see `splits`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from unroll.errors import UserError
from unroll.settings import Settings
from unroll.text.corpus import Corpus
from unroll.text.sources.phrasebook.sentences import Sentence
from unroll.text.sources.phrasebook.splits import MOST, divide

Language = Literal["en", "de"]


class CorpusSettings(Settings):
    """Sentence pairs from a grammar."""

    source: Literal["phrasebook"]
    path: str
    """What DVC watches: the folder of the grammar."""
    languages: Annotated[list[Language], Field(min_length=2, max_length=2)]
    """The columns, in their order."""
    pairs: Annotated[int, Field(ge=10)] = 30_000
    """Pairs over all splits."""
    seed: int = 1
    """Another seed, other sentences and another test."""

    @model_validator(mode="after")
    def _languages_differ(self) -> Self:
        if self.languages[0] == self.languages[1]:
            raise ValueError(f"languages: {self.languages[0]} twice; a pair is en and de, in either order")
        return self


def read(settings: CorpusSettings) -> Corpus:
    """Draw the sentences; `UserError` when more are asked for than there are."""
    if settings.pairs > MOST:
        raise UserError(f"pairs: {settings.pairs} pairs asked for; the phrasebook gives {MOST} at most")
    splits = divide(settings.pairs, settings.seed)
    first, second = settings.languages
    return Corpus(
        columns=(first, second),
        licence="Apache-2.0",
        origin=f"sentences of the English-German grammar of unroll, seed {settings.seed}",
        rows=(
            (split, (_text(sentence, first), _text(sentence, second)))
            for split, sentences in splits.items()
            for sentence in sentences
        ),
    )


def _text(sentence: Sentence, language: Language) -> str:
    return sentence.english if language == "en" else sentence.german
