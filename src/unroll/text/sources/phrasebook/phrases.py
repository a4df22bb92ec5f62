"""Drawing noun phrases and places at random, so that they make sense beside their verb."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import TypeVar

from unroll.text.sources.phrasebook.closed_words import DETERMINER, IT, NAMES, PRONOUN, PRONOUNS, Adverb, Pronoun
from unroll.text.sources.phrasebook.lexicon import Noun, Verb, adjectives_for, nouns_for, places_for
from unroll.text.sources.phrasebook.sentences import somewhere
from unroll.text.sources.phrasebook.syntax import NounPhrase, Phrase

Item = TypeVar("Item")

POSSESSIVES = tuple(pronoun.possessive for pronoun in PRONOUNS)


class Dice:
    """Random choices made from `random()` alone, the one method that every Python version keeps as it is."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def choose(self, items: Sequence[Item]) -> Item:
        return items[int(self._random.random() * len(items))]

    def weighed(self, weights: dict[Item, float]) -> Item:
        """One of the keys, each as often as its weight says."""
        rest = self._random.random() * fsum(weights.values())  # unlike sum(), the same in every Python version
        for item, weight in weights.items():
            rest -= weight
            if rest < 0:
                return item
        return item

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        return [items[i] for _, i in sorted((self._random.random(), i) for i in range(len(items)))]


@dataclass(frozen=True)
class Wish:
    """What determiners a phrase may have: a subject's or an object's, only known or only new ones, ..."""

    subject: bool = False
    definite: bool = False
    indefinite: bool = False
    """a, bare, numbers"""
    bare: bool = False
    """of what is not known only bare ones: dogs, milk"""
    countless: bool = False
    """no every, no, two, three, many, some: what a negation goes badly with"""
    plain: bool = False
    """no adjective"""


def pronoun_for(phrase: Phrase) -> Pronoun | None:
    """The pronoun that takes up a phrase (the man: he); None where the languages differ (the girl: she, es)."""
    if phrase is IT:
        return None
    if isinstance(phrase, Pronoun):
        if phrase.kind == "pronoun":
            return phrase
        return PRONOUN["he" if phrase.possessive == "his" else "she"] if phrase.kind == "name" else None
    if phrase.determiner.english in ("every", "no") or "person" not in phrase.noun.classes:
        return None
    if phrase.plural:
        return PRONOUN["they"]
    return {"m": PRONOUN["he"], "f": PRONOUN["she"], "n": None}[phrase.noun.gender]


class Phrases:
    """Draws phrases."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice

    def subject(self, wanted: tuple[str, ...], wish: Wish) -> Phrase:
        """Somebody or something that is one of `wanted`: classes and nouns."""
        nouns = nouns_for(wanted)
        if any("person" in noun.classes for noun in nouns) and self.dice.chance(0.42):
            return self.dice.weighed(dict.fromkeys(PRONOUNS, 3.0) | dict.fromkeys(NAMES, 1.0))
        return self.noun_phrase(self.dice.choose(nouns), wish, None)

    def person(self, *, plain: bool) -> Phrase:
        """Somebody known."""
        return self.subject(("person",), Wish(subject=True, definite=True, plain=plain))

    def other(self, noun: Noun, wish: Wish, subject: Phrase) -> Phrase | None:
        """`noun` as an object, or a pronoun or name for a person; None if that is the subject once more."""
        if "person" in noun.classes and not wish.indefinite and self.dice.chance(0.3):
            pronoun = self.dice.weighed(dict.fromkeys(PRONOUNS, 3.0) | dict.fromkeys(NAMES, 1.0))
            # Not "I see me", nor "I see us".
            same = isinstance(subject, Pronoun) and pronoun.person == subject.person != 3
            return None if same or pronoun == subject else pronoun
        if isinstance(subject, NounPhrase) and subject.noun == noun:
            return None
        return self.noun_phrase(noun, wish, subject)

    def noun_phrase(self, noun: Noun, wish: Wish, subject: Phrase | None) -> NounPhrase:
        """The noun with determiner, number and adjective."""
        plural = noun.english_plural is not None and self.dice.chance(0.25)
        determiner = self._determiner(noun, wish, plural, subject)
        adjective = None
        if not wish.plain and adjectives_for(noun) and self.dice.chance(0.3):
            adjective = self.dice.choose(adjectives_for(noun))
        return NounPhrase(noun, DETERMINER[determiner], plural, adjective)

    def _determiner(self, noun: Noun, wish: Wish, plural: bool, subject: Phrase | None) -> str:
        mass, kin = noun.english_plural is None and "kin" not in noun.classes, "kin" in noun.classes
        if "resource" in noun.classes and not (wish.definite and "own" in noun.classes):
            return ""
        weights = {} if wish.indefinite else {"the": 6.0, "this": 0.0 if kin else 1.5}
        if "own" in noun.classes and not wish.indefinite:
            weights["my"] = 14.0 if kin else 3.0
        if not wish.definite:
            if mass or plural:  # never "likes dog"
                person = "person" in noun.classes and not (wish.indefinite or wish.bare)
                weights[""] = 8.0 if mass else 0.0 if kin and person else 0.7 if person else 4.0
            if plural and not (kin or wish.countless or wish.bare):
                weights |= {"two": 1.5, "three": 1.0, "many": 1.5, "some": 1.5}
            if not (mass or plural or wish.bare):
                weights["a"] = 0.0 if kin and not wish.indefinite else 5.0
            if wish.subject and not (mass or plural or kin or wish.countless):
                weights |= {"every": 1.5, "no": 1.5}
        chosen = self.dice.weighed(weights)
        return self._possessive(subject) if chosen == "my" else chosen

    def _possessive(self, subject: Phrase | None) -> str:
        """Mostly the subject's own (I: my, the woman: her)."""
        owner = pronoun_for(subject) if subject else None
        return owner.possessive if owner and self.dice.chance(0.6) else self.dice.choose(POSSESSIVES)

    def place(self, verb: Verb, subject: Phrase, *, plain: bool) -> Adverb:
        """Where or whither, as goes with the verb."""
        chosen = self.dice.choose(places_for(verb, verb.where))
        noun, to = chosen.noun, chosen.to if verb.where == "to" else None
        if noun is None:
            return Adverb(*(to or chosen.at), direction=to is not None)
        weights = {"the": 12.0, "this": 1.0, "a": 1.0, "my": 1.5 if "own" in noun.classes else 0.0}
        determiner = self.dice.weighed(weights)
        if determiner == "my":
            determiner = self._possessive(subject)
        adjective = None
        if not plain and adjectives_for(noun) and self.dice.chance(0.2):
            adjective = self.dice.choose(adjectives_for(noun))
        phrase = NounPhrase(noun, DETERMINER[determiner], False, adjective)
        if to is None:
            return somewhere(chosen.at, "dat", phrase, direction=False)
        return somewhere(to, chosen.to_case, phrase, direction=True)
