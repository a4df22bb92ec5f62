"""Drawing sentences of a main and a subordinate clause."""

from dataclasses import replace

from unroll.text.sources.phrasebook import sentences
from unroll.text.sources.phrasebook.clauses import PAST, PRESENT, PROGRESSIVE, WILL, Clauses, Time
from unroll.text.sources.phrasebook.closed_words import (
    ALTHOUGH,
    AS,
    BECAUSE,
    IF,
    IT,
    MATRIX,
    MODAL,
    PRONOUN,
    THAT,
    WHENEVER,
    WHETHER,
    Conjunction,
)
from unroll.text.sources.phrasebook.lexicon import ADJECTIVE, STATES
from unroll.text.sources.phrasebook.phrases import Dice, pronoun_for
from unroll.text.sources.phrasebook.question_words import question_word, without
from unroll.text.sources.phrasebook.sentences import Sentence
from unroll.text.sources.phrasebook.syntax import Clause, NounPhrase, Phrase, is_pronoun

_MODALS: tuple[Time, ...] = tuple(("present", MODAL[name]) for name in ("can", "will", "should", "have"))
_WISHES: tuple[Time, ...] = tuple(("present", MODAL[name]) for name in ("want", "have"))
_PAST_WISHES: tuple[Time, ...] = tuple(("past", MODAL[name]) for name in ("want", "have"))
_WITH_REASON = tuple(ADJECTIVE[name] for name in ("happy", "sad", "angry", "nervous", "satisfied"))

# What may follow a verb of saying or thinking: the conjunctions, None for a question word.
_AFTER: dict[str, tuple[Conjunction | None, ...]] = {
    "know": (THAT, WHETHER, None),
    "think": (THAT,),
    "believe": (THAT,),
    "hope": (THAT,),
    "say": (THAT,),
    "hear": (THAT,),
    "ask": (WHETHER, None),
}


class TwoClauses:
    """Draws sentences of two clauses; what makes no sense comes out as None."""

    def __init__(self, dice: Dice, clauses: Clauses) -> None:
        self.dice = dice
        self.clauses = clauses

    def reason(self) -> Sentence | None:
        """because, although, if, when"""
        tense = self.dice.weighed({PRESENT: 4.0, PAST: 4.0, WILL: 2.0})
        conjunction = self._conjunction(tense)
        kind = self.dice.weighed({"event": 4.0, "feeling": 4.0, "wish": 2.0, "weather": 1.5})
        if kind == "event":
            pair = self._happy_because(tense, conjunction)
        else:
            pair = self._done_because(kind, tense, conjunction)
        if pair is None or _same(pair[0].subject, pair[1].subject) or _names_again(*pair):
            return None
        main, other = pair
        if main.time is None and self.dice.chance(0.3):
            if is_pronoun(other.subject) and pronoun_for(main.subject) == other.subject:
                main, other = replace(main, subject=other.subject), replace(other, subject=main.subject)
            return sentences.joined_first(conjunction, other, main)
        return sentences.joined(main, conjunction, other)

    def said(self) -> Sentence | None:
        """I know that ..., she asks whether ..., do you know where ...?"""
        verb = self.dice.choose(tuple(_AFTER))
        conjunction = self.dice.choose(_AFTER[verb])
        asked = verb == "know" and self.dice.chance(0.3)
        subject = PRONOUN["you"] if asked else self.clauses.phrases.person(plain=True)
        main = self._saying(verb, subject, conjunction, asked)
        times = {"hope": (PRESENT, WILL), "hear": (PAST, WILL)}.get(verb)
        again = pronoun_for(subject) if verb != "hear" and self.dice.chance(0.3) else None
        negated = conjunction is THAT and self.dice.chance(0.15)
        other = self.clauses.event(subject=again, negated=negated, short=True, times=times)
        if other is None or _same(subject, other.subject):
            return None
        if conjunction is not None:
            return sentences.joined(main, conjunction, other, asked=asked)
        if other.frequency:
            return None
        word = question_word(self.dice, other)
        other = without(other, word)
        return sentences.joined(main, Conjunction(word.english, word.german), other, asked=asked)

    def _saying(self, verb: str, subject: Phrase, conjunction: Conjunction | None, asked: bool) -> Clause:
        main = Clause(subject, MATRIX[verb], "past" if verb == "hear" else "present")
        if asked:
            return main
        if verb == "know" and conjunction is not THAT:
            if self.dice.chance(0.4):
                return replace(main, modal=MODAL["want"])
            return replace(main, negated=conjunction is WHETHER or self.dice.chance(0.6))
        return replace(main, negated=verb == "believe" and self.dice.chance(0.3))

    def _conjunction(self, tense: Time) -> Conjunction:
        if tense == PAST:
            return self.dice.weighed({BECAUSE: 3, ALTHOUGH: 1.5, AS: 1.5})
        if tense == WILL:
            return self.dice.weighed({BECAUSE: 2, ALTHOUGH: 1, IF: 2})
        return self.dice.weighed({BECAUSE: 3, ALTHOUGH: 1.5, IF: 1.5, WHENEVER: 1.5})

    def _happy_because(self, tense: Time, conjunction: Conjunction) -> tuple[Clause, Clause] | None:
        """Somebody is happy because somebody does something."""
        subject = self.clauses.phrases.person(plain=True)
        main = self.clauses.feeling(subject, (tense,), _WITH_REASON)
        times: tuple[Time, ...] = (PAST,) if tense == PAST else (PRESENT,)
        if conjunction is BECAUSE and tense == PRESENT:
            times = (PRESENT, PAST, WILL)
        again = pronoun_for(subject) if self.dice.chance(0.3) else None
        other = self.clauses.event(subject=again, negated=self.dice.chance(0.15), short=True, times=times)
        if other is None:
            return None
        return main, other if conjunction in (BECAUSE, ALTHOUGH) else _timeless(other)

    def _done_because(self, kind: str, tense: Time, conjunction: Conjunction) -> tuple[Clause, Clause] | None:
        """Somebody does something because of a feeling, a wish or the weather."""
        because = conjunction in (BECAUSE, ALTHOUGH)
        times = _MODALS if tense == WILL else (tense, PROGRESSIVE) if because and tense == PRESENT else (tense,)
        main = self.clauses.event(negated=self.dice.chance(0.2), short=True, times=times)
        if main is None or main.subject is IT or any(flag in main.verb.flags for flag in "sc"):
            return None
        main = replace(main, frequency=None)
        now = PAST if tense == PAST else PRESENT
        if kind == "weather":
            return main, self.clauses.weather((PROGRESSIVE,) if because and now == PRESENT else (now,))
        again = pronoun_for(main.subject)
        if again is None:
            return None
        if kind == "feeling":
            return main, self.clauses.feeling(again, (now,), STATES, negated=self.dice.chance(0.1))
        if not because:
            return None
        other = self.clauses.event(subject=again, short=True, times=_PAST_WISHES if tense == PAST else _WISHES)
        return (main, _timeless(other)) if other else None


def _timeless(clause: Clause) -> Clause:
    return replace(clause, time=None, frequency=None)


def _same(first: Phrase, second: Phrase) -> bool:
    """Whether the same noun would be the subject twice (the man ... the man)."""
    if isinstance(first, NounPhrase) and isinstance(second, NounPhrase):
        return first.noun == second.noun
    return first == second and not is_pronoun(first)


def _names_again(main: Clause, other: Clause) -> bool:
    """Whether the noun of the main clause's subject comes again (the man is happy because we help a man)."""
    others = [phrase for phrase in (other.object, other.recipient) if phrase is not None]
    return any(_same(main.subject, phrase) for phrase in others)
