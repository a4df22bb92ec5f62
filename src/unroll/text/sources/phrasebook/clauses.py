"""Drawing clauses at random, so that tense, time, negation and objects go together."""

from dataclasses import replace

from unroll.text.sources.phrasebook import closed_words as words
from unroll.text.sources.phrasebook.closed_words import BE, IT, MODAL, PRONOUN, Adverb, Modal, Pronoun
from unroll.text.sources.phrasebook.lexicon import (
    ADJECTIVE,
    BEINGS,
    NOUN,
    STATES,
    VERB,
    Adjective,
    Noun,
    Verb,
    adjectives_for,
    nouns_for,
)
from unroll.text.sources.phrasebook.phrases import Dice, Phrases, Wish
from unroll.text.sources.phrasebook.syntax import Clause, NounPhrase, Phrase, Tense

Time = tuple[Tense, Modal | None]

VERBS = tuple(VERB.values())
WEATHER = ("it",)
DESCRIBED = tuple(noun for noun in NOUN.values() if adjectives_for(noun))
PRESENT: Time = ("present", None)
PROGRESSIVE: Time = ("progressive", None)
PAST: Time = ("past", None)
WILL: Time = ("present", MODAL["will"])
TIMES: dict[Time, float] = {
    PRESENT: 12.0,
    PROGRESSIVE: 6.0,
    PAST: 12.0,
    **{("present", MODAL[name]): 1.6 for name in ("can", "will", "should", "have", "want", "be allowed")},
    **{("past", MODAL[name]): 0.7 for name in ("can", "have", "want", "be allowed")},
}


class Clauses:
    """Draws clauses; what makes no sense comes out as None, to be drawn again."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.phrases = Phrases(dice)

    def event(
        self,
        *,
        subject: Phrase | None = None,
        negated: bool = False,
        known: bool = True,
        short: bool = False,
        times: tuple[Time, ...] | None = None,
    ) -> Clause | None:
        """Somebody does something. `known`: no "every" or "a" as the subject; `short`: no adjectives."""
        verb = self.dice.choose(VERBS)
        if subject is None:
            subject = self._subject(verb, known, short)
        elif not _can_do(subject, verb):
            return None
        tense = self._tense(verb, subject, times)
        if tense is None or (tense == PAST and not negated and _looks_present(verb, subject)):
            return None
        clause = Clause(subject, verb, *tense, negated=negated)
        if verb.object and not (verb.object.optional and self.dice.chance(0.35)):
            noun = self.dice.choose(nouns_for(verb.objects))
            object_ = self.phrases.other(noun, self._object_wish(clause, short), subject)
            if object_ is None:
                return None
            clause = replace(clause, object=object_)
            clause = self._with_recipient(clause)
            if clause.recipient is None and verb.recipient and not verb.recipient.optional:
                return None
        return self._with_adverbs(clause, short)

    def state(self, *, negated: bool = False) -> Clause:
        """Somebody is tired or at home, something is old."""
        if self.dice.chance(0.3):
            tense = PRESENT if self.dice.chance(0.8) else PAST
            return self._quality(tense, negated)
        tense = self._weighed((PRESENT, PAST, WILL))
        subject = self.phrases.person(plain=True)
        if self.dice.chance(0.7):
            return self._with_adverbs(self.feeling(subject, (tense,), STATES, negated=negated), False)
        place = self.phrases.place(BE, subject, plain=True)
        return self._with_adverbs(Clause(subject, BE, *tense, negated=negated, place=place), False)

    def feeling(
        self, subject: Phrase, times: tuple[Time, ...], feelings: tuple[Adjective, ...], *, negated: bool = False
    ) -> Clause:
        """Somebody is happy."""
        adjective, very = self.dice.choose(feelings), self.dice.chance(0.2)
        return Clause(subject, BE, *self._weighed(times), negated=negated, adjective=adjective, very=very)

    def weather(self, times: tuple[Time, ...]) -> Clause:
        """It rains, it is cold."""
        tense = self._weighed(times)
        if self.dice.chance(0.5):
            return Clause(IT, self.dice.choose((VERB["rain/regnen"], VERB["snow/schneien"])), *tense)
        time = PRESENT if tense == PROGRESSIVE else tense
        adjective = ADJECTIVE[self.dice.choose(("cold", "warm", "hot"))]
        return Clause(IT, BE, *time, adjective=adjective, very=self.dice.chance(0.3))

    def _weighed(self, times: tuple[Time, ...]) -> Time:
        return self.dice.weighed({time: TIMES[time] for time in times})

    def _subject(self, verb: Verb, known: bool, short: bool) -> Phrase:
        if verb.subjects == WEATHER:
            return IT
        return self.phrases.subject(verb.subjects, Wish(subject=True, definite=known, plain=short))

    def _quality(self, tense: Time, negated: bool) -> Clause:
        """The car is old: an adjective that suits the noun."""
        noun = self.dice.choose(DESCRIBED)
        phrase = self.phrases.noun_phrase(noun, Wish(definite=True, plain=True), None)
        adjective, very = self.dice.choose(adjectives_for(noun)), self.dice.chance(0.2)
        return Clause(phrase, BE, *tense, negated=negated, adjective=adjective, very=very)

    def _tense(self, verb: Verb, subject: Phrase, times: tuple[Time, ...] | None) -> Time | None:
        """A tense or modal verb that the verb and the subject allow; None if `times` has no such."""
        fitting = {
            time: weight
            for time, weight in TIMES.items()
            if (times is None or time in times) and _allowed(time, verb, subject)
        }
        return self.dice.weighed(fitting) if fitting else None

    def _object_wish(self, clause: Clause, short: bool) -> Wish:
        verb, slot = clause.verb, clause.verb.object
        return Wish(
            definite="d" in verb.flags or (clause.negated and slot is not None and slot.german != ""),
            indefinite="n" in verb.flags,
            bare="b" in verb.flags,
            countless=clause.negated,
            plain=short,
        )

    def _with_recipient(self, clause: Clause) -> Clause:
        slot, object_ = clause.verb.recipient, clause.object
        if slot is None or (slot.optional and self.dice.chance(0.6)):
            return clause
        noun = self.dice.choose(nouns_for(("person",)))
        wish = Wish(definite=clause.negated or self.dice.chance(0.7), countless=clause.negated, plain=True)
        recipient = self.phrases.other(noun, wish, clause.subject)
        if recipient is None or recipient == object_ or _noun(recipient) == _noun(object_) is not None:
            return clause
        # "I give her books" would say two things.
        if recipient is PRONOUN["she"] and isinstance(object_, NounPhrase) and not object_.determiner.english:
            return clause
        return replace(clause, recipient=recipient)

    def _with_adverbs(self, clause: Clause, short: bool) -> Clause:
        verb = clause.verb
        if verb.where and verb is not BE and (verb.where_needed or self.dice.chance(0.1 if short else 0.3)):
            clause = replace(clause, place=self.phrases.place(verb, clause.subject, plain=short))
        if self.dice.chance(0.45) and ("s" not in verb.flags or verb is BE):
            clause = self._with_time(clause)
        return clause

    def _with_time(self, clause: Clause) -> Clause:
        """When or how often; a negation goes with points in time only."""
        counted = isinstance(clause.subject, NounPhrase) and clause.subject.determiner.english in ("no", "every")
        repeated = "o" not in clause.verb.flags or _is_used_up(clause.object)
        often = repeated and not clause.negated and not counted
        if clause.modal:
            if often and clause.modal.german in ("müssen", "sollen") and self.dice.chance(0.15):
                return replace(clause, frequency=self.dice.choose(words.OFTEN))
            return replace(clause, time=self._past_or_future(clause))
        if clause.tense == "progressive" or (clause.verb is BE and clause.tense == "present"):
            return replace(clause, time=self.dice.choose(words.NOW))
        if often and clause.tense in ("present", "past") and self.dice.chance(0.35):
            return replace(clause, frequency=self.dice.choose((*words.OFTEN, *words.RARELY, words.NEVER)))
        if clause.tense == "past":
            return replace(clause, time=self._past_or_future(clause))
        if not repeated:
            return clause
        return replace(clause, time=self.dice.choose(words.USUALLY if not often else words.USUALLY + words.EACH))

    def _past_or_future(self, clause: Clause) -> Adverb:
        return self.dice.choose(words.PAST if clause.tense == "past" else words.FUTURE)


def _can_do(subject: Phrase, verb: Verb) -> bool:
    if verb.subjects == WEATHER or isinstance(subject, NounPhrase):
        return isinstance(subject, NounPhrase) and subject.noun.fits(verb.subjects)
    return any("person" in noun.classes for noun in nouns_for(verb.subjects))


def _allowed(time: Time, verb: Verb, subject: Phrase) -> bool:
    """Whether the verb, done by the subject, can stand in this tense or with this modal verb."""
    tense, modal = time
    if tense == "progressive":
        return not any(flag in verb.flags for flag in "sic")
    if modal is None:
        return True
    if "c" in verb.flags and modal.german == "können":
        return True
    lives = subject is not IT and (isinstance(subject, Pronoun) or any(name in BEINGS for name in subject.noun.classes))
    return modal.german == "werden" or (lives and not any(flag in verb.flags for flag in "sic"))


def _looks_present(verb: Verb, subject: Phrase) -> bool:
    """Whether a past statement looks like a present one: I read, I put on."""
    return verb.past == verb.base and (subject.plural or subject.person != 3)


def _is_used_up(phrase: Phrase | None) -> bool:
    """Whether one can do the same with such a thing day after day: eat bread, read books."""
    noun = _noun(phrase)
    return noun is not None and any(name in noun.classes for name in ("food", "drink", "text"))


def _noun(phrase: Phrase | None) -> Noun | None:
    return phrase.noun if isinstance(phrase, NounPhrase) else None
