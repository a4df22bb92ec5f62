"""The words of the phrasebook that form closed classes: pronouns, determiners, modal verbs, adverbs, ..."""

from dataclasses import dataclass

from unroll.text.sources.phrasebook.lexicon import verb


@dataclass(frozen=True)
class Pronoun:
    """A pronoun, a name or a question word: a noun phrase whose forms are listed."""

    english: str
    english_object: str
    nominative: str
    accusative: str
    dative: str
    person: int
    plural: bool
    possessive: str
    """The English possessive that refers to it."""
    kind: str = "pronoun"
    """pronoun, name or question"""


@dataclass(frozen=True)
class Determiner:
    """What stands before a noun; `declension` says how it and the adjective after it are inflected."""

    english: str
    german: str
    """the stem that endings are added to"""
    declension: str
    """the: as der, dieser; a: as ein, kein; strong: as no determiner, the adjective carries the ending;
    fixed: as strong, without an ending of its own (zwei)"""
    definite: bool
    english_plural: str = ""
    """the plural where it differs (these)"""


@dataclass(frozen=True)
class Modal:
    """A modal verb. `to` false: an English auxiliary (can); true: a verb with "to" (has to, is allowed to)."""

    english: str
    english_past: str | None
    german: str
    to: bool = False


@dataclass(frozen=True)
class Adverb:
    """A word or phrase that says when, where, how often; `direction`: whither."""

    english: str
    german: str
    direction: bool = False


@dataclass(frozen=True)
class Conjunction:
    """What a subordinate clause begins with; `comma`: English has one before it, as German always has."""

    english: str
    german: str
    comma: bool = False


PRONOUNS = (
    Pronoun("I", "me", "ich", "mich", "mir", 1, False, "my"),
    Pronoun("you", "you", "du", "dich", "dir", 2, False, "your"),
    Pronoun("he", "him", "er", "ihn", "ihm", 3, False, "his"),
    Pronoun("she", "her", "sie", "sie", "ihr", 3, False, "her"),
    Pronoun("we", "us", "wir", "uns", "uns", 1, True, "our"),
    Pronoun("they", "them", "sie", "sie", "ihnen", 3, True, "their"),
)
PRONOUN = {pronoun.english: pronoun for pronoun in PRONOUNS}
NAMES = tuple(
    Pronoun(name, name, name, name, name, 3, False, possessive, "name")
    for name, possessive in (
        ("Anna", "her"), ("Maria", "her"), ("Julia", "her"), ("Peter", "his"), ("Paul", "his"), ("Thomas", "his"),
    )
)  # fmt: skip
IT = Pronoun("it", "it", "es", "es", "ihm", 3, False, "its")
WHO = Pronoun("who", "who", "wer", "wen", "wem", 3, False, "his", "question")
WHAT = Pronoun("what", "what", "was", "was", "was", 3, False, "its", "question")

_DETERMINERS = (
    Determiner("the", "d", "the", True),
    Determiner("this", "dies", "the", True, "these"),
    Determiner("every", "jed", "the", False),
    Determiner("which", "welch", "the", True),
    Determiner("a", "ein", "a", False),
    Determiner("no", "kein", "a", False),
    Determiner("my", "mein", "a", True),
    Determiner("your", "dein", "a", True),
    Determiner("his", "sein", "a", True),
    Determiner("her", "ihr", "a", True),
    Determiner("our", "unser", "a", True),
    Determiner("their", "ihr", "a", True),
    Determiner("many", "viel", "strong", False),
    Determiner("some", "einig", "strong", False),
    Determiner("two", "zwei", "fixed", False),
    Determiner("three", "drei", "fixed", False),
    Determiner("", "", "fixed", False),
)
DETERMINER = {determiner.english: determiner for determiner in _DETERMINERS}

_MODALS = (
    Modal("can", "could", "können"),
    Modal("will", None, "werden"),
    Modal("should", None, "sollen"),
    Modal("have", "had", "müssen", to=True),
    Modal("want", "wanted", "wollen", to=True),
    Modal("be allowed", "be allowed", "dürfen", to=True),
)
MODAL = {modal.english: modal for modal in _MODALS}

BE = verb(["be was being", "sein ist ist gewesen", "being", "-", "-", "at home outside town work travel", "s"])
MATRIX = {
    english.split()[0]: verb([english, german])
    for english, german in (
        ("know knew knowing", "wissen weiß gewusst"),
        ("think thought thinking", "denken denkt gedacht"),
        ("believe believed believing", "glauben glaubt geglaubt"),
        ("hope hoped hoping", "hoffen hofft gehofft"),
        ("say said saying", "sagen sagt gesagt"),
        ("hear heard hearing", "hören hört gehört"),
        ("ask asked asking", "fragen fragt gefragt"),
    )
}


def _adverbs(text: str) -> tuple[Adverb, ...]:
    pairs = (pair.partition("/") for pair in text.split(", "))
    return tuple(Adverb(english, german) for english, _, german in pairs)


EACH = _adverbs("every day/jeden Tag, every week/jede Woche, every morning/jeden Morgen, every evening/jeden Abend")
USUALLY = _adverbs(
    "in the morning/am Morgen, in the evening/am Abend, at the weekend/am Wochenende, "
    "in summer/im Sommer, in winter/im Winter"
)
NOW = _adverbs("now/jetzt, today/heute, at the moment/im Moment")
PAST = _adverbs(
    "yesterday/gestern, last week/letzte Woche, yesterday evening/gestern Abend, this morning/heute Morgen, "
    "on Monday/am Montag, on Friday/am Freitag, two days ago/vor zwei Tagen, today/heute"
)
FUTURE = _adverbs(
    "tomorrow/morgen, next week/nächste Woche, this evening/heute Abend, tomorrow evening/morgen Abend, "
    "on Monday/am Montag, on Friday/am Freitag, today/heute"
)
OFTEN = _adverbs("often/oft, always/immer")
RARELY = _adverbs("sometimes/manchmal, rarely/selten")
NEVER = Adverb("never", "nie")
SENTENCE = _adverbs("perhaps/vielleicht, unfortunately,/leider, luckily,/zum Glück, of course,/natürlich")
WHEN, WHY, WHERE, WHITHER, HOW_OFTEN = _adverbs("when/wann, why/warum, where/wo, where/wohin, how often/wie oft")

BECAUSE, THAT, IF, WHETHER, WHENEVER, AS = (
    Conjunction(adverb.english, adverb.german)
    for adverb in _adverbs("because/weil, that/dass, if/wenn, whether/ob, when/wenn, when/als")
)
ALTHOUGH = Conjunction("although", "obwohl", comma=True)
