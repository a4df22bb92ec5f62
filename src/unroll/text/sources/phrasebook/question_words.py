"""Which question words suit a clause, and what they take out of it."""

from dataclasses import replace

from unroll.text.sources.phrasebook.closed_words import DETERMINER, HOW_OFTEN, WHEN, WHERE, WHITHER, WHY, Adverb
from unroll.text.sources.phrasebook.phrases import Dice
from unroll.text.sources.phrasebook.syntax import Clause, NounPhrase


def which(phrase: NounPhrase) -> NounPhrase:
    """The same thing asked for: which book."""
    return NounPhrase(phrase.noun, DETERMINER["which"], phrase.plural)


def question_word(dice: Dice, clause: Clause) -> Adverb:
    """An adverb that asks for something that the clause says or might say."""
    fitting = {WHY: 1.0}
    if not (clause.negated or "s" in clause.verb.flags) and clause.tense != "progressive":
        if clause.modal or clause.tense == "past":
            fitting[WHEN] = 1.5
        elif "o" not in clause.verb.flags:
            fitting |= {WHEN: 0.5, HOW_OFTEN: 1.0}
    if clause.verb.where and not clause.negated and not clause.adjective:
        fitting[WHERE if clause.verb.where == "at" else WHITHER] = 1.0
    return dice.weighed(fitting)


def without(clause: Clause, word: Adverb) -> Clause:
    """The clause without what the question word asks for."""
    if word in (WHERE, WHITHER):
        return replace(clause, place=None)
    return replace(clause, time=None, frequency=None) if word in (WHEN, HOW_OFTEN) else clause
