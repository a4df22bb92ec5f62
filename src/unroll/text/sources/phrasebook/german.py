"""The German words of clauses, in their order."""

from collections.abc import Sequence

from unroll.text.sources.phrasebook.closed_words import NEVER, WHAT, Adverb
from unroll.text.sources.phrasebook.inflection import PRESENT as PRESENT_FORMS
from unroll.text.sources.phrasebook.inflection import PRETERITE, agree, noun_phrase, prepositional, present
from unroll.text.sources.phrasebook.lexicon import Slot
from unroll.text.sources.phrasebook.syntax import Clause, Phrase, Role, is_definite, is_pronoun


def main(clause: Clause, front: Sequence[str] = (), gap: Role | None = None) -> list[str]:
    """A clause with the finite verb after `front` (nothing: a yes/no question), which fills the role `gap`."""
    finite, end = _verb(clause)
    prefix = clause.verb.prefix
    if prefix and not end:
        end = [prefix]
    subject = [] if gap == "subject" else noun_phrase(clause.subject, "nom")
    return [*front, finite, *subject, *_middle(clause, gap), *end]


def statement(clause: Clause) -> list[str]:
    """A main clause that begins with its subject."""
    return main(clause, noun_phrase(clause.subject, "nom"), "subject")


def subordinate(clause: Clause) -> list[str]:
    """The words after the conjunction: the finite verb comes last, joined with its prefix."""
    finite, end = _verb(clause)
    if not end:
        finite = clause.verb.prefix + finite
    return [*noun_phrase(clause.subject, "nom"), *_middle(clause, None), *end, finite]


def slot(entry: Slot, phrase: Phrase, *, negative: bool = False) -> list[str]:
    """An object or recipient with its preposition and case; prepositions melt into "what" (worauf, womit)."""
    if not entry.german:
        return noun_phrase(phrase, entry.case, negative=negative)
    if phrase is WHAT:
        return ["wo" + ("r" if entry.german[0] in "aeiouü" else "") + entry.german]
    return prepositional(entry.german, entry.case, phrase)


def _verb(clause: Clause) -> tuple[str, list[str]]:
    """The finite verb without prefix, and the infinitive or participle that ends the clause."""
    verb, subject, past = clause.verb, clause.subject, clause.tense == "past"
    if clause.modal:
        forms = (PRETERITE if past else PRESENT_FORMS)[clause.modal.german]
        return agree(forms, subject), [verb.prefix + verb.infinitive]
    if not past:
        return agree(present(verb), subject), []
    if verb.infinitive in PRETERITE and not verb.prefix:
        return agree(PRETERITE[verb.infinitive], subject), []
    return agree(PRESENT_FORMS[verb.auxiliary], subject), [verb.german_participle]


def _middle(clause: Clause, gap: Role | None) -> list[str]:
    """What stands between the subject and the end of the clause.

    Pronouns and most of what is known; time; "nicht"; place; what is new; direction; adjective.
    """
    place = clause.place if gap != "place" else None
    early, late, new = _objects(clause, gap, place is not None)
    words = early + [adverb.german for role, adverb in _adverbs(clause) if adverb and gap != role] + late
    if clause.negated and not clause.negative_determiner:
        words.append("nicht")
    if place and not place.direction:
        words.append(place.german)
    words += new
    if place and place.direction:
        words.append(place.german)
    if clause.adjective:
        words += ["sehr", clause.adjective.german] if clause.very else [clause.adjective.german]
    return words


def _objects(clause: Clause, gap: Role | None, placed: bool) -> tuple[list[str], list[str], list[str]]:
    """The objects before the time, right after it, and after the place.

    A known accusative goes before the time if something after it carries the stress, else after it. What is new
    and what has a preposition goes last.
    """
    verb, phrase = clause.verb, clause.object
    object_ = _phrase(verb.object, phrase, gap == "object", negative=clause.negative_determiner)
    recipient = _phrase(verb.recipient, clause.recipient, gap == "recipient")
    early: list[str] = []
    if clause.recipient and is_definite(clause.recipient):
        early, recipient = recipient, []
    if phrase is None or verb.object is None or verb.object.german or not is_definite(phrase):
        return early, [], recipient + object_
    if is_pronoun(phrase):
        return object_ + early, [], recipient
    if clause.negated or clause.frequency is NEVER or placed or verb.object.case == "dat":
        return early + object_, [], recipient
    return early, recipient + object_, []


def _phrase(entry: Slot | None, phrase: Phrase | None, gone: bool, *, negative: bool = False) -> list[str]:
    """The words of an object or recipient, nothing where it is missing or stands in front."""
    return [] if gone or entry is None or phrase is None else slot(entry, phrase, negative=negative)


def _adverbs(clause: Clause) -> tuple[tuple[Role, Adverb | None], ...]:
    return ("time", clause.time), ("frequency", clause.frequency)
