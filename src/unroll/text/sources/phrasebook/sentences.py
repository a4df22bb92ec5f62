"""Whole sentences: what a clause becomes as a statement, as a question, or beside another clause."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from unroll.text.sources.phrasebook import english, german, inflection
from unroll.text.sources.phrasebook.closed_words import Adverb, Conjunction
from unroll.text.sources.phrasebook.syntax import Clause, NounPhrase, Role

Form = Literal["statement", "negation", "question", "wh-question", "fronted", "subordinate"]
FORMS: tuple[Form, ...] = ("statement", "negation", "question", "wh-question", "fronted", "subordinate")
TENSES = ("present", "past", "modal")

Combination = tuple[str, str]
"""The name of a verb, and the noun that is its object or the structure that it stands in."""


@dataclass(frozen=True)
class Sentence:
    """An English sentence, its German translation, and the combinations of words that it shows."""

    english: str
    german: str
    combinations: tuple[Combination, ...]


def statement(clause: Clause) -> Sentence:
    """The man reads the book. / Der Mann liest das Buch."""
    form: Form = "negation" if clause.negated else "statement"
    return _sentence(english.statement(clause), german.statement(clause), ".", (clause, form))


def fronted(clause: Clause, front: Role | Adverb) -> Sentence:
    """Today the man reads the book. / Heute liest der Mann das Buch. `front` is said first, once."""
    adverb = front if isinstance(front, Adverb) else _adverb(clause, front)
    gap = None if isinstance(front, Adverb) else front
    first = english.statement(clause, [adverb.english], gap)
    return _sentence(first, german.main(clause, [adverb.german], gap), ".", (clause, "fronted"))


def question(clause: Clause) -> Sentence:
    """Does the man read the book? / Liest der Mann das Buch?"""
    return _sentence(english.question(clause), german.main(clause), "?", (clause, "question"))


def ask_subject(clause: Clause) -> Sentence:
    """Who reads the book? / Wer liest das Buch? The subject is the question phrase."""
    return _sentence(english.statement(clause), german.statement(clause), "?", (clause, "wh-question"))


def ask_object(clause: Clause, role: Literal["object", "recipient"]) -> Sentence:
    """What does the man read? / Was liest der Mann? The phrase in `role` is the question phrase."""
    phrase = clause.object if role == "object" else clause.recipient
    slot = clause.verb.object if role == "object" else clause.verb.recipient
    if phrase is None or slot is None:
        raise ValueError(f"{clause.verb.name}: no {role} to ask for")
    first = english.question(clause, english.noun_phrase(phrase), role)
    second = german.main(clause, german.slot(slot, phrase), role)
    return _sentence(first, second, "?", (clause, "wh-question"))


def ask_adverb(clause: Clause, word: Adverb) -> Sentence:
    """When does the man read the book? / Wann liest der Mann das Buch?"""
    first = english.question(clause, [word.english])
    return _sentence(first, german.main(clause, [word.german]), "?", (clause, "wh-question"))


def joined(first: Clause, conjunction: Conjunction, second: Clause, *, asked: bool = False) -> Sentence:
    """A main clause and a subordinate one: I know that he sleeps. / Ich weiß, dass er schläft."""
    left = english.question(first) if asked else english.statement(first)
    if conjunction.comma:
        left[-1] += ","
    words = german.main(first) if asked else german.statement(first)
    words[-1] += ","
    return _sentence(
        [*left, conjunction.english, *english.statement(second)],
        [*words, conjunction.german, *german.subordinate(second)],
        "?" if asked else ".",
        (first, "question" if asked else "negation" if first.negated else "statement"),
        (second, "subordinate"),
    )


def joined_first(conjunction: Conjunction, first: Clause, second: Clause) -> Sentence:
    """The subordinate clause `first` before the main clause: If it rains, he sleeps. / Wenn es regnet, ..."""
    left = [conjunction.english, *english.statement(first)]
    words = [conjunction.german, *german.subordinate(first)]
    left[-1] += ","
    words[-1] += ","
    return _sentence(
        [*left, *english.statement(second)],
        german.main(second, words),
        ".",
        (first, "subordinate"),
        (second, "fronted"),
    )


def somewhere(prepositions: tuple[str, str], case: str, phrase: NounPhrase, *, direction: bool) -> Adverb:
    """Where or whither, from the English and the German preposition and the place."""
    return Adverb(
        english.prepositional(prepositions[0], phrase),
        " ".join(inflection.prepositional(prepositions[1], case, phrase)),
        direction,
    )


def structure(clause: Clause, form: Form) -> str:
    """The name of a form and a tense: "wh-question past"."""
    tense = "modal" if clause.modal else "past" if clause.tense == "past" else "present"
    return f"{form} {tense}"


def _adverb(clause: Clause, role: Role) -> Adverb:
    adverb = {"time": clause.time, "place": clause.place, "frequency": clause.frequency}.get(role)
    if adverb is None:
        raise ValueError(f"{clause.verb.name}: nothing in the role '{role}' to begin with")
    return adverb


def _sentence(first: Sequence[str], second: Sequence[str], end: str, *parts: tuple[Clause, Form]) -> Sentence:
    combinations: list[Combination] = []
    for clause, form in parts:
        combinations.append((clause.verb.name, structure(clause, form)))
        if isinstance(clause.object, NounPhrase):
            combinations.append((clause.verb.name, clause.object.noun.english))
    return Sentence(_text(first, end), _text(second, end), tuple(combinations))


def _text(words: Sequence[str], end: str) -> str:
    text = " ".join(word for word in words if word) + end
    return text[0].upper() + text[1:]
