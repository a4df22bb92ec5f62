"""The English words of noun phrases and clauses."""

from collections.abc import Sequence

from unroll.text.sources.phrasebook.closed_words import Pronoun
from unroll.text.sources.phrasebook.lexicon import Slot
from unroll.text.sources.phrasebook.syntax import Clause, NounPhrase, Phrase, Role, is_pronoun


def noun_phrase(phrase: Phrase, *, subject: bool = False) -> list[str]:
    """The words of a phrase as subject or as anything else."""
    if isinstance(phrase, Pronoun):
        return [phrase.english if subject else phrase.english_object]
    determiner, noun = phrase.determiner, phrase.noun
    article = determiner.english_plural or determiner.english if phrase.plural else determiner.english
    words = [phrase.adjective.english] if phrase.adjective else []
    words.append((noun.english_plural or noun.english) if phrase.plural else noun.english)
    if article == "a":
        article = "an" if words[0][0] in "aeiou" else "a"
    return [article, *words] if article else words


def statement(clause: Clause, front: Sequence[str] = (), gap: Role | None = None) -> list[str]:
    """Subject, verb, objects, place, time; `front` goes before, what fills the role `gap` is left out."""
    auxiliary, verb = _verb(clause, split=clause.negated)
    words = [*front, *noun_phrase(clause.subject, subject=True)]
    if clause.negated and auxiliary == "can":
        words.append("cannot")
    elif auxiliary:
        words += [auxiliary, "not"] if clause.negated else [auxiliary]
    return [*words, *_frequency(clause, gap), *verb, *_complements(clause, gap)]


def question(clause: Clause, front: Sequence[str] = (), gap: Role | None = None) -> list[str]:
    """The auxiliary before the subject; `front` is the question phrase, which fills the role `gap`."""
    auxiliary, verb = _verb(clause, split=True)
    words = [*front, auxiliary or "", *noun_phrase(clause.subject, subject=True)]
    if clause.negated:
        words.append("not")
    return [*words, *_frequency(clause, gap), *verb, *_complements(clause, gap)]


def third_person(base: str) -> str:
    """The form after "he": reads, watches, carries, goes, has."""
    if base == "have":
        return "has"
    if base.endswith(("s", "x", "z", "ch", "sh", "o")):
        return base + "es"
    return base[:-1] + "ies" if base.endswith("y") and base[-2] not in "aeiou" else base + "s"


def _verb(clause: Clause, *, split: bool) -> tuple[str | None, list[str]]:
    """The auxiliary, if any, and the rest of the verb; `split`: there must be an auxiliary (do-support)."""
    subject, verb, modal = clause.subject, clause.verb, clause.modal
    past, third = clause.tense == "past", subject.person == 3 and not subject.plural
    if modal and modal.english == "be allowed":
        return _be(clause), ["allowed", "to", verb.base]
    if modal and not modal.to:
        return (modal.english_past if past else modal.english), [verb.base]
    if clause.tense == "progressive":
        return _be(clause), [verb.participle]
    if verb.base == "be" and modal is None:
        return _be(clause), []
    base, form = (modal.english, modal.english_past or "") if modal else (verb.base, verb.past)
    rest = ["to", verb.base] if modal else []
    if split:
        return "did" if past else "does" if third else "do", [base, *rest]
    return None, [form if past else third_person(base) if third else base, *rest]


def _be(clause: Clause) -> str:
    subject = clause.subject
    if subject.plural or subject.person == 2:
        return "were" if clause.tense == "past" else "are"
    if clause.tense == "past":
        return "was"
    return "am" if subject.person == 1 else "is"


def _frequency(clause: Clause, gap: Role | None) -> list[str]:
    return [clause.frequency.english] if clause.frequency and gap != "frequency" else []


def _complements(clause: Clause, gap: Role | None) -> list[str]:
    """What follows the verb. A preposition stays behind when its phrase is gone (who ... for)."""
    verb = clause.verb
    objects = _slot(verb.object, clause.object, gap == "object")
    recipient = _slot(verb.recipient, clause.recipient, gap == "recipient")
    particle = verb.particle.split()
    if clause.object and is_pronoun(clause.object):
        objects, particle = objects + particle, []
    if gap == "recipient":
        recipient = ["to"]
    to_last = verb.recipient is not None and (verb.recipient.english == "to" or gap == "recipient")
    words = particle + (objects + recipient if to_last else recipient + objects)
    if clause.adjective:
        words += ["very", clause.adjective.english] if clause.very else [clause.adjective.english]
    for role, adverb in (("place", clause.place), ("time", clause.time)):
        if adverb and gap != role:
            words.append(adverb.english)
    return words


def _slot(slot: Slot | None, phrase: Phrase | None, gone: bool) -> list[str]:
    if slot is None or phrase is None:
        return []
    preposition = [slot.english] if slot.english else []
    return preposition if gone else preposition + noun_phrase(phrase)


def prepositional(preposition: str, phrase: NounPhrase) -> str:
    """A preposition with its phrase, as one text."""
    return " ".join([preposition, *noun_phrase(phrase)])
