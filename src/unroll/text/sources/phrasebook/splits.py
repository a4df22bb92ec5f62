"""Which sentences are for training and which for the test, so that the test asks for something new.

Some combinations of words that each occur often in training are held out: a verb with one of its objects, a verb
in one of the structures (asked in the past, in a subordinate clause, ...). What shows one is in the test alone
(compositional generalisation; Lake and Baroni 2018, https://arxiv.org/abs/1711.00350).
"""

import re
from collections import Counter

from unroll.text.sources.phrasebook.lexicon import VERB, Verb, nouns_for
from unroll.text.sources.phrasebook.phrases import Dice
from unroll.text.sources.phrasebook.sampler import Sampler
from unroll.text.sources.phrasebook.sentences import FORMS, TENSES, Combination, Sentence

MOST = 1_000_000
"""As many pairs as the phrasebook has been seen to give; the grammar has more, in ever rarer draws."""

_OBJECTS_HELD_OUT = 1 / 8
_CANDIDATES = 4
"""Test sentences drawn for each that is kept."""
_SHARES = 2
"""What one combination may have of the test, in even shares."""


def held_out(seed: int) -> frozenset[Combination]:
    """The combinations that are for the test alone: one structure a verb, an eighth of its objects."""
    dice = Dice(seed)
    takers = Counter(noun for verb in VERB.values() for noun in nouns_for(verb.objects))
    taken: Counter[str] = Counter()
    chosen: list[Combination] = []
    for verb in VERB.values():
        chosen.append((verb.name, dice.choose(_structures(verb))))
        nouns = dice.shuffled(nouns_for(verb.objects))
        # A noun stays in training with two thirds of its verbs, and a noun of one verb stays there.
        free = [noun for noun in nouns if 3 * (taken[noun.english] + 1) <= takers[noun]]
        for noun in free[: round(len(nouns) * _OBJECTS_HELD_OUT)]:
            taken[noun.english] += 1
            chosen.append((verb.name, noun.english))
    return frozenset(chosen)


def divide(size: int, seed: int) -> dict[str, list[Sentence]]:
    """`size` distinct sentences, a thirtieth for validation (at most 1000), a 24th for the test (at most 1250)."""
    dice, sampler, kept_back = Dice(seed), Sampler(seed), held_out(seed)
    valid, test = (max(1, min(most, size // part)) for most, part in ((1000, 30), (1250, 24)))
    seen: set[str] = set()
    known: list[Sentence] = []
    new: list[Sentence] = []
    while len(known) < size - test or len(new) < test * _CANDIDATES:
        sentence = sampler.draw()
        if sentence.english not in seen:
            seen.add(sentence.english)
            side = known if kept_back.isdisjoint(sentence.combinations) else new
            side.append(sentence)
    known = dice.shuffled(known[: size - test])
    train = known[valid:]
    return {"train": train, "valid": known[:valid], "test": _balanced(_fairest(new, train), kept_back, test)}


def words(text: str) -> list[str]:
    """The words and the punctuation marks of a sentence."""
    return re.findall(r"\w+|[^\w\s]", text)


def _structures(verb: Verb) -> list[str]:
    """The structures that may be held out: not those that alone show some form of the verb.

    That is the capitalised one of a German question (Ruft er an?) and the one joined with its prefix (anruft).
    """
    joined = "subordinate present" if verb.prefix else ""
    names = [f"{form} {tense}" for form in FORMS for tense in TENSES]
    return [name for name in names if name not in ("question present", joined)]


def _balanced(sentences: list[Sentence], kept_back: frozenset[Combination], count: int) -> list[Sentence]:
    """The first `count` sentences, passing over combinations that have had their share as long as there are others.

    Without it a few frequent verbs (hear, know) would be most of the test.
    """
    share = -(-_SHARES * count // len(kept_back))
    had: Counter[Combination] = Counter()
    chosen: list[Sentence] = []
    spare: list[Sentence] = []
    for sentence in sentences:
        asked = kept_back.intersection(sentence.combinations)
        if all(had[combination] < share for combination in asked):
            had.update(asked)
            chosen.append(sentence)
        else:
            spare.append(sentence)
    return [*chosen, *spare][:count]


def _fairest(sentences: list[Sentence], train: list[Sentence]) -> list[Sentence]:
    """The sentences in their order, those with words that training does not know last."""
    english = {word for sentence in train for word in words(sentence.english)}
    german = {word for sentence in train for word in words(sentence.german)}

    def strange(sentence: Sentence) -> int:
        return len(set(words(sentence.english)) - english) + len(set(words(sentence.german)) - german)

    return sorted(sentences, key=strange)
