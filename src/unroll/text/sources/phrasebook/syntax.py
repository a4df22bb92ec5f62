"""What a sentence says, the same for both languages: noun phrases and clauses."""

from dataclasses import dataclass
from typing import Literal

from unroll.text.sources.phrasebook.closed_words import Adverb, Determiner, Modal, Pronoun
from unroll.text.sources.phrasebook.lexicon import Adjective, Noun, Verb

Tense = Literal["present", "progressive", "past"]
Role = Literal["subject", "object", "recipient", "time", "place", "frequency"]


@dataclass(frozen=True)
class NounPhrase:
    """A noun with what stands before it."""

    noun: Noun
    determiner: Determiner
    plural: bool = False
    adjective: Adjective | None = None

    @property
    def person(self) -> int:
        return 3


Phrase = NounPhrase | Pronoun


@dataclass(frozen=True)
class Clause:
    """A subject with its verb and what goes with it; the object is the verb's, whatever its case."""

    subject: Phrase
    verb: Verb
    tense: Tense = "present"
    """progressive: -ing form in English, present in German; past: simple past, perfect"""
    modal: Modal | None = None
    negated: bool = False
    object: Phrase | None = None
    recipient: Phrase | None = None
    adjective: Adjective | None = None
    """what the subject is, after "be\""""
    very: bool = False
    place: Adverb | None = None
    time: Adverb | None = None
    frequency: Adverb | None = None

    @property
    def negative_determiner(self) -> bool:
        """Whether German negates the object itself (kein Buch, keine Bücher) and not the verb (nicht)."""
        phrase, slot = self.object, self.verb.object
        if not self.negated or slot is None or slot.german or not isinstance(phrase, NounPhrase):
            return False
        return phrase.determiner.english in ("a", "")


def is_definite(phrase: Phrase) -> bool:
    """Whether the phrase names something known (the book, my book, Anna) and not just any (a book, milk)."""
    return not isinstance(phrase, NounPhrase) or phrase.determiner.definite


def is_pronoun(phrase: Phrase) -> bool:
    """Whether the phrase is a personal pronoun (names and question words are none)."""
    return isinstance(phrase, Pronoun) and phrase.kind == "pronoun"
