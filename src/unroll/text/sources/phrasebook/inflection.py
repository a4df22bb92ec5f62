"""German inflection: endings of determiners, adjectives and nouns, and the forms of verbs."""

from unroll.text.sources.phrasebook.closed_words import Determiner, Pronoun
from unroll.text.sources.phrasebook.lexicon import Noun, Verb
from unroll.text.sources.phrasebook.syntax import NounPhrase, Phrase

CASES = {"nom": 0, "acc": 1, "dat": 2}

# Endings by gender (p: plural), in the order of CASES.
STRONG = {"m": ("er", "en", "em"), "f": ("e", "e", "er"), "n": ("es", "es", "em"), "p": ("e", "e", "en")}
MIXED = {"m": ("er", "en", "en"), "f": ("e", "e", "en"), "n": ("es", "es", "en"), "p": ("en", "en", "en")}
WEAK = {"m": ("e", "en", "en"), "f": ("e", "e", "en"), "n": ("e", "e", "en"), "p": ("en", "en", "en")}
ADJECTIVE_ENDINGS = {"the": WEAK, "a": MIXED, "strong": STRONG, "fixed": STRONG}
ARTICLE = {
    "m": ("der", "den", "dem"),
    "f": ("die", "die", "der"),
    "n": ("das", "das", "dem"),
    "p": ("die", "die", "den"),
}
EIN = {"m": ("", "en", "em"), "f": ("e", "e", "er"), "n": ("", "", "em"), "p": ("e", "e", "en")}

# ich, du, er, wir (= sie)
PRESENT = {
    "sein": ("bin", "bist", "ist", "sind"),
    "haben": ("habe", "hast", "hat", "haben"),
    "werden": ("werde", "wirst", "wird", "werden"),
    "wissen": ("weiß", "weißt", "weiß", "wissen"),
    "mögen": ("mag", "magst", "mag", "mögen"),
    "können": ("kann", "kannst", "kann", "können"),
    "müssen": ("muss", "musst", "muss", "müssen"),
    "wollen": ("will", "willst", "will", "wollen"),
    "dürfen": ("darf", "darfst", "darf", "dürfen"),
    # What somebody should do is said with the subjunctive.
    "sollen": ("sollte", "solltest", "sollte", "sollten"),
}
# These verbs form a preterite where all others form a perfect.
PRETERITE = {
    "sein": ("war", "warst", "war", "waren"),
    "haben": ("hatte", "hattest", "hatte", "hatten"),
    "wissen": ("wusste", "wusstest", "wusste", "wussten"),
    "mögen": ("mochte", "mochtest", "mochte", "mochten"),
    "können": ("konnte", "konntest", "konnte", "konnten"),
    "müssen": ("musste", "musstest", "musste", "mussten"),
    "wollen": ("wollte", "wolltest", "wollte", "wollten"),
    "dürfen": ("durfte", "durftest", "durfte", "durften"),
}


def agree(forms: tuple[str, ...], subject: Phrase) -> str:
    """The form that agrees with the subject, of ich, du, er, wir."""
    return forms[3 if subject.plural else subject.person - 1]


def present(verb: Verb) -> tuple[str, ...]:
    """The present forms for ich, du, er, wir, without the prefix."""
    infinitive, third = verb.infinitive, verb.third
    if infinitive in PRESENT:
        return PRESENT[infinitive]
    first = infinitive[:-1] if infinitive.endswith("en") else infinitive[:-1] + "e"
    stem = third[:-1]
    # liest, isst, putzt: the s of du melts into the stem's.
    second = third if stem.endswith(("s", "ß", "z")) else stem + "st"
    return first, second, third, infinitive


def noun(entry: Noun, case: str, *, plural: bool) -> str:
    """The noun in its case."""
    if plural:
        form = entry.german_plural or entry.german
        return form + "n" if case == "dat" and not form.endswith(("n", "s")) else form
    return (entry.german_plural or entry.german) if entry.weak and case != "nom" else entry.german


def determiner(entry: Determiner, gender: str, case: str) -> str:
    """The determiner in its case, nothing for none; gender "p" is the plural."""
    column = CASES[case]
    if entry.german == "d":
        return ARTICLE[gender][column]
    if entry.declension == "fixed":
        return entry.german
    endings = EIN if entry.declension == "a" else STRONG
    return entry.german + endings[gender][column]


def noun_phrase(phrase: Phrase, case: str, *, negative: bool = False) -> list[str]:
    """The words of a phrase in a case; `negative`: kein in place of ein or of nothing."""
    if isinstance(phrase, Pronoun):
        return [{"nom": phrase.nominative, "acc": phrase.accusative, "dat": phrase.dative}[case]]
    gender = "p" if phrase.plural else phrase.noun.gender
    article = determiner(phrase.determiner, gender, case)
    endings = ADJECTIVE_ENDINGS[phrase.determiner.declension]
    if negative:
        article, endings = "kein" + EIN[gender][CASES[case]], MIXED
    words = [article] if article else []
    if phrase.adjective:
        words.append(phrase.adjective.stem.removesuffix("e") + endings[gender][CASES[case]])
    return [*words, noun(phrase.noun, case, plural=phrase.plural)]


CONTRACTIONS = {
    ("in", "dem"): "im",
    ("in", "das"): "ins",
    ("an", "dem"): "am",
    ("bei", "dem"): "beim",
    ("von", "dem"): "vom",
    ("zu", "dem"): "zum",
    ("zu", "der"): "zur",
}


def prepositional(preposition: str, case: str, phrase: Phrase) -> list[str]:
    """A preposition with its phrase, drawn together with the article where that is usual (im, zum)."""
    words = noun_phrase(phrase, case)
    if isinstance(phrase, NounPhrase) and (preposition, words[0]) in CONTRACTIONS:
        return [CONTRACTIONS[preposition, words[0]], *words[1:]]
    return [preposition, *words]
