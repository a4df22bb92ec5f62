"""Drawing sentences at random."""

from collections.abc import Callable
from dataclasses import replace

from unroll.text.sources.phrasebook import sentences
from unroll.text.sources.phrasebook.clauses import Clauses
from unroll.text.sources.phrasebook.closed_words import IT, NEVER, OFTEN, PRONOUN, RARELY, SENTENCE, WHAT, WHO
from unroll.text.sources.phrasebook.phrases import Dice
from unroll.text.sources.phrasebook.question_words import question_word, which, without
from unroll.text.sources.phrasebook.sentences import Sentence
from unroll.text.sources.phrasebook.syntax import Clause, NounPhrase, Phrase
from unroll.text.sources.phrasebook.two_clauses import TwoClauses

WORDS = range(3, 17)
"""How many words a sentence may have in each language."""


class Sampler:
    """An endless phrasebook: the same seed gives the same sentences."""

    def __init__(self, seed: int) -> None:
        self.dice = Dice(seed)
        self.clauses = Clauses(self.dice)
        two = TwoClauses(self.dice, self.clauses)
        self._kinds: dict[Callable[[], Sentence | None], float] = {
            self._statement: 24,
            self._negation: 13,
            self._question: 17,
            self._ask_subject: 4,
            self._ask_object: 9,
            self._ask_adverb: 7,
            self._fronted: 11,
            two.reason: 14,
            two.said: 9,
        }

    def draw(self) -> Sentence:
        """A sentence; it may have been drawn before."""
        kind = self.dice.weighed(self._kinds)
        while True:
            sentence = kind()
            if sentence and all(len(text.split()) in WORDS for text in (sentence.english, sentence.german)):
                return sentence

    def _clause(self, *, negated: bool = False, known: bool = True) -> Clause | None:
        """Mostly an event."""
        if self.dice.chance(0.1):
            return self.clauses.state(negated=negated)
        return self.clauses.event(negated=negated, known=known)

    def _statement(self) -> Sentence | None:
        clause = self._clause(known=False)
        return sentences.statement(clause) if clause else None

    def _negation(self) -> Sentence | None:
        clause = self._clause(negated=True)
        return sentences.statement(clause) if clause else None

    def _question(self) -> Sentence | None:
        clause = self._clause()
        if clause is None or (clause.frequency and clause.frequency not in OFTEN):
            return None
        if clause.subject is PRONOUN["I"] and not clause.modal:
            return None
        return sentences.question(clause)

    def _ask_subject(self) -> Sentence | None:
        """Who ...? Which child ...?"""
        clause = self._clause()
        if clause is None or clause.subject is IT or clause.frequency is NEVER:
            return None
        subject: Phrase = WHO
        thing = isinstance(clause.subject, NounPhrase) and "person" not in clause.subject.noun.classes
        if isinstance(clause.subject, NounPhrase) and (thing or self.dice.chance(0.4)):
            subject = which(clause.subject)
        return sentences.ask_subject(replace(clause, subject=subject))

    def _ask_object(self) -> Sentence | None:
        """What, who or whom, which book, to whom ...?"""
        clause = self.clauses.event()
        if clause is None or clause.object is None or clause.frequency in (*RARELY, NEVER):
            return None
        if clause.recipient and self.dice.chance(0.35):
            return sentences.ask_object(replace(clause, recipient=WHO), "recipient")
        asked: Phrase = WHO
        if isinstance(clause.object, NounPhrase):
            noun = clause.object.noun
            if noun.english_plural and self.dice.chance(0.4):
                asked = which(clause.object)
            elif "person" not in noun.classes:
                asked = WHAT
        if asked is WHO and "n" in clause.verb.flags:
            return None
        if asked is WHAT and clause.verb.object and (clause.verb.object.case, clause.verb.object.german) == ("dat", ""):
            return None  # German has no dative of "what"
        return sentences.ask_object(replace(clause, object=asked), "object")

    def _ask_adverb(self) -> Sentence | None:
        """Why, when, where, how often ...?"""
        clause = self._clause(negated=self.dice.chance(0.15))
        if clause is None or clause.frequency or _is_quality(clause):
            return None
        word = question_word(self.dice, clause)
        return sentences.ask_adverb(without(clause, word), word)

    def _fronted(self) -> Sentence | None:
        """Something other than the subject comes first."""
        clause = self._clause(negated=self.dice.chance(0.15))
        if clause is None:
            return None
        if clause.time and self.dice.chance(0.8):
            return sentences.fronted(clause, "time")
        if clause.place and _is_setting(clause):
            return sentences.fronted(clause, "place")
        if clause.frequency is RARELY[0]:
            return sentences.fronted(clause, "frequency")
        return sentences.fronted(clause, self.dice.choose(SENTENCE)) if self.dice.chance(0.4) else None


def _is_quality(clause: Clause) -> bool:
    """Whether the clause says how a thing is: nobody asks when a box is heavy."""
    return clause.adjective is not None and "state" not in clause.adjective.classes


def _is_setting(clause: Clause) -> bool:
    """Whether the place is where it all happens, not where somebody stays or gets to."""
    verb = clause.verb
    return verb.where == "at" and not (verb.where_needed or verb.auxiliary == "sein" or clause.negated)
