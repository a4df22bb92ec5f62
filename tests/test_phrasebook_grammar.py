"""The grammar of the phrasebook: what a person would write, in both languages."""

from typing import Any

import pytest

from unroll.text.sources.phrasebook import closed_words as words
from unroll.text.sources.phrasebook.closed_words import DETERMINER, MATRIX, MODAL, NAMES, PRONOUN, WHAT, WHO, Adverb
from unroll.text.sources.phrasebook.english import third_person
from unroll.text.sources.phrasebook.inflection import present
from unroll.text.sources.phrasebook.lexicon import ADJECTIVE, NOUN, PLACE, VERB, Verb
from unroll.text.sources.phrasebook.phrases import Dice, Phrases, Wish
from unroll.text.sources.phrasebook.sentences import (
    Sentence,
    ask_adverb,
    ask_object,
    ask_subject,
    fronted,
    joined,
    joined_first,
    question,
    somewhere,
    statement,
)
from unroll.text.sources.phrasebook.syntax import Clause, NounPhrase, Phrase

ADVERBS = {
    adverb.english: adverb
    for table in ("EACH", "USUALLY", "NOW", "PAST", "FUTURE", "OFTEN", "RARELY", "SENTENCE")
    for adverb in getattr(words, table)
} | {"never": words.NEVER}


def phrase(text: str) -> Phrase:
    """A noun phrase from its English words: "the old man", "these books", "you"."""
    listed = PRONOUN | {name.english: name for name in NAMES} | {"who": WHO, "what": WHAT, "it": words.IT}
    if text in listed:
        return listed[text]
    first, *rest = text.split()
    article = {"these": "this", "an": "a"}.get(first, first)
    if article not in DETERMINER:
        article, rest = "", [first, *rest]
    adjective = ADJECTIVE[rest.pop(0)] if rest[0] in ADJECTIVE else None
    name = " ".join(rest)
    plurals = {noun.english_plural: noun for noun in NOUN.values() if noun.english_plural}
    return NounPhrase(plurals.get(name) or NOUN[name], DETERMINER[article], name in plurals, adjective)


def verb(name: str) -> Verb:
    """A verb by its English name, with the German one where that is not enough: "read/lesen"."""
    if name == "be":
        return words.BE
    found = [entry for entry in VERB.values() if name in (entry.name, entry.name.split("/")[0])]
    assert len(found) == 1, f"{name}: {[entry.name for entry in found]}"
    return found[0]


def clause(subject: str, does: str, object: str = "", **rest: Any) -> Clause:
    """A clause from English words; `modal`, `recipient`, `time`, `frequency`, `adjective` by name."""
    ready: dict[str, Any] = {"object": phrase(object)} if object else {}
    for key, value in rest.items():
        match key:
            case "modal":
                ready[key] = MODAL[value]
            case "recipient":
                ready[key] = phrase(value)
            case "time" | "frequency":
                ready[key] = ADVERBS[value]
            case "adjective":
                ready[key] = ADJECTIVE[value]
            case _:
                ready[key] = value
    return Clause(phrase(subject), verb(does), **ready)


def place(preposition: str, text: str) -> Adverb:
    """Where or whither: place("into", "the garden")."""
    asked = phrase(text)
    assert isinstance(asked, NounPhrase)
    for entry in PLACE:
        if entry.noun == asked.noun and entry.at[0] == preposition:
            return somewhere(entry.at, "dat", asked, direction=False)
        if entry.noun == asked.noun and entry.to and entry.to[0] == preposition:
            return somewhere(entry.to, entry.to_case, asked, direction=True)
    raise AssertionError(f"{preposition} {text}")


def matrix(subject: str, name: str, **rest: Any) -> Clause:
    return Clause(phrase(subject), MATRIX[name], **rest)


HOME = Adverb("home", "nach Hause", direction=True)
HAND_WRITTEN: list[tuple[Sentence, str]] = [
    # A subject, a verb, an object; declension.
    (statement(clause("the old man", "read/lesen", "a newspaper")),
     "The old man reads a newspaper. / Der alte Mann liest eine Zeitung."),
    (statement(clause("the woman", "buy", "an old bicycle")),
     "The woman buys an old bicycle. / Die Frau kauft ein altes Fahrrad."),
    (statement(clause("my brother", "have", "a small dog")),
     "My brother has a small dog. / Mein Bruder hat einen kleinen Hund."),
    (statement(clause("these children", "drink", "cold milk")),
     "These children drink cold milk. / Diese Kinder trinken kalte Milch."),
    (statement(clause("two young women", "see", "many white birds")),
     "Two young women see many white birds. / Zwei junge Frauen sehen viele weiße Vögel."),
    (statement(clause("no friendly boss", "know", "our neighbour")),
     "No friendly boss knows our neighbour. / Kein freundlicher Chef kennt unseren Nachbarn."),
    (statement(clause("the car", "be", adjective="expensive", very=True)),
     "The car is very expensive. / Das Auto ist sehr teuer."),
    (statement(clause("she", "choose", "the expensive dress")),
     "She chooses the expensive dress. / Sie sucht das teure Kleid aus."),
    (statement(clause("you", "like", "these apples")),
     "You like these apples. / Du magst diese Äpfel."),
    # Dative.
    (statement(clause("the doctor", "help", "the old students")),
     "The doctor helps the old students. / Der Arzt hilft den alten Studenten."),
    (statement(clause("she", "give", "a red apple", recipient="the child")),
     "She gives the child a red apple. / Sie gibt dem Kind einen roten Apfel."),
    (statement(clause("I", "explain", "the rule", recipient="he")),
     "I explain the rule to him. / Ich erkläre ihm die Regel."),
    (statement(clause("these shirts", "belong to", "my uncles", tense="past")),
     "These shirts belonged to my uncles. / Diese Hemden haben meinen Onkeln gehört."),
    (statement(clause("Anna", "introduce", "he", recipient="her boss")),
     "Anna introduces him to her boss. / Anna stellt ihn ihrem Chef vor."),
    # Prepositions and places.
    (statement(clause("we", "wait for", "the bus", place=place("at", "the station"))),
     "We wait for the bus at the station. / Wir warten am Bahnhof auf den Bus."),
    (statement(clause("they", "dream of", "the lake")),
     "They dream of the lake. / Sie träumen vom See."),
    (statement(clause("the boys", "go", place=place("into", "the forest"), tense="past")),
     "The boys went into the forest. / Die Jungen sind in den Wald gegangen."),
    (statement(clause("Peter", "run", place=place("to", "the station"), tense="progressive")),
     "Peter is running to the station. / Peter läuft zum Bahnhof."),
    (statement(clause("the teacher", "live with", "his aunt")),
     "The teacher lives with his aunt. / Der Lehrer wohnt bei seiner Tante."),
    (statement(clause("the father", "take", "his son", place=place("to", "the office"), time="today", tense="past")),
     "The father took his son to the office today. / Der Vater hat seinen Sohn heute ins Büro gebracht."),
    # Time before place.
    (statement(clause("the girl", "read/lesen", "a book", place=place("in", "the garden"), time="every day")),
     "The girl reads a book in the garden every day. / Das Mädchen liest jeden Tag im Garten ein Buch."),
    (statement(clause("I", "go", place=HOME, time="today", tense="progressive")),
     "I am going home today. / Ich gehe heute nach Hause."),
    # Negation.
    (statement(clause("the man", "read/lesen", "the book", negated=True)),
     "The man does not read the book. / Der Mann liest das Buch nicht."),
    (statement(clause("the man", "buy", "a new car", negated=True)),
     "The man does not buy a new car. / Der Mann kauft kein neues Auto."),
    (statement(clause("we", "drink", "coffee", negated=True, time="in the evening")),
     "We do not drink coffee in the evening. / Wir trinken am Abend keinen Kaffee."),
    (statement(clause("she", "wait for", "the train", negated=True, time="yesterday", tense="past")),
     "She did not wait for the train yesterday. / Sie hat gestern nicht auf den Zug gewartet."),
    (statement(clause("the soup", "be", adjective="hot", negated=True)),
     "The soup is not hot. / Die Suppe ist nicht heiß."),
    (statement(clause("he", "call", "his mother", negated=True, time="today", tense="progressive")),
     "He is not calling his mother today. / Er ruft seine Mutter heute nicht an."),
    (statement(clause("she", "forget", "the key", frequency="never")),
     "She never forgets the key. / Sie vergisst den Schlüssel nie."),
    (statement(clause("you", "smoke", modal="be allowed", negated=True, place=place("in", "the kitchen"))),
     "You are not allowed to smoke in the kitchen. / Du darfst nicht in der Küche rauchen."),
    # Separable verbs, perfect, modal verbs.
    (statement(clause("I", "call", "my grandmother", time="every week")),
     "I call my grandmother every week. / Ich rufe jede Woche meine Großmutter an."),
    (statement(clause("they", "pick up", "she", tense="past")),
     "They picked her up. / Sie haben sie abgeholt."),
    (statement(clause("the train", "arrive", tense="past", time="yesterday evening")),
     "The train arrived yesterday evening. / Der Zug ist gestern Abend angekommen."),
    (statement(clause("he", "invite", "the neighbours", modal="want")),
     "He wants to invite the neighbours. / Er will die Nachbarn einladen."),
    (statement(clause("the pupils", "learn", "a poem", modal="have", tense="past")),
     "The pupils had to learn a poem. / Die Schüler mussten ein Gedicht lernen."),
    (statement(clause("Maria", "repair", "the clock", modal="can", negated=True)),
     "Maria cannot repair the clock. / Maria kann die Uhr nicht reparieren."),
    (statement(clause("we", "have", "money", tense="past", negated=True)),
     "We did not have money. / Wir hatten kein Geld."),
    # Something else first.
    (fronted(clause("the baker", "call", "my sister", tense="past", time="yesterday"), "time"),
     "Yesterday the baker called my sister. / Gestern hat der Bäcker meine Schwester angerufen."),
    (fronted(clause("he", "visit", "we", modal="will"), ADVERBS["perhaps"]),
     "Perhaps he will visit us. / Vielleicht wird er uns besuchen."),
    (fronted(clause("Paul", "watch television", place=place("in", "the bedroom"), frequency="sometimes"), "frequency"),
     "Sometimes Paul watches television in the bedroom. / Manchmal sieht Paul im Schlafzimmer fern."),
    # Questions.
    (question(clause("the old man", "read/lesen", "the newspaper", time="today")),
     "Does the old man read the newspaper today? / Liest der alte Mann heute die Zeitung?"),
    (question(clause("you", "invite", "Thomas", tense="past")),
     "Did you invite Thomas? / Hast du Thomas eingeladen?"),
    (question(clause("you", "tidy up", "the kitchen", modal="have")),
     "Do you have to tidy up the kitchen? / Musst du die Küche aufräumen?"),
    (ask_subject(clause("who", "turn off", "the lamp", tense="past")),
     "Who turned off the lamp? / Wer hat die Lampe ausgemacht?"),
    (ask_object(clause("the girl", "look for", "what"), "object"),
     "What does the girl look for? / Was sucht das Mädchen?"),
    (ask_object(clause("the pupils", "laugh about", "what"), "object"),
     "What do the pupils laugh about? / Worüber lachen die Schüler?"),
    (ask_object(clause("she", "talk to", "who", tense="progressive"), "object"),
     "Who is she talking to? / Mit wem spricht sie?"),
    (ask_object(clause("you", "thank", "who", tense="past"), "object"),
     "Who did you thank? / Wem hast du gedankt?"),
    (ask_object(clause("he", "give", "the book", recipient="who", modal="will"), "recipient"),
     "Who will he give the book to? / Wem wird er das Buch geben?"),
    (ask_object(clause("they", "wait for", "which train"), "object"),
     "Which train do they wait for? / Auf welchen Zug warten sie?"),
    (ask_adverb(clause("the party", "begin"), words.WHEN),
     "When does the party begin? / Wann fängt die Feier an?"),
    (ask_adverb(clause("you", "drive", tense="progressive"), words.WHITHER),
     "Where are you driving? / Wohin fährst du?"),
    # Subordinate clauses.
    (joined(clause("she", "be", adjective="happy"), words.BECAUSE, clause("I", "call", "she", frequency="often")),
     "She is happy because I often call her. / Sie ist glücklich, weil ich sie oft anrufe."),
    (joined(matrix("I", "know"), words.THAT, clause("he", "read/lesen", "the letter", tense="past", negated=True,
                                                      time="yesterday")),
     "I know that he did not read the letter yesterday. / Ich weiß, dass er den Brief gestern nicht gelesen hat."),
    (joined(matrix("you", "know"), words.WHETHER, clause("the bus", "leave", tense="past"), asked=True),
     "Do you know whether the bus left? / Weißt du, ob der Bus abgefahren ist?"),
    (joined(clause("the child", "play with"), words.ALTHOUGH, clause("it", "rain", tense="progressive")),
     "The child plays, although it is raining. / Das Kind spielt, obwohl es regnet."),
    (joined(clause("he", "stay", place=Adverb("at home", "zu Hause"), tense="past"), words.BECAUSE,
            clause("he", "write", "a report", modal="have", tense="past")),
     "He stayed at home because he had to write a report. / "
     "Er ist zu Hause geblieben, weil er einen Bericht schreiben musste."),
    (joined_first(words.IF, clause("the guest", "be", adjective="ill"), clause("he", "cook", "a soup")),
     "If the guest is ill, he cooks a soup. / Wenn der Gast krank ist, kocht er eine Suppe."),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "pair"), HAND_WRITTEN, ids=[pair for _, pair in HAND_WRITTEN])
def test_the_grammar_says_what_a_person_would_write(sentence: Sentence, pair: str) -> None:
    assert f"{sentence.english} / {sentence.german}" == pair


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("read/lesen", ("lese", "liest", "liest", "lesen")),
        ("put on/anziehen", ("ziehe", "ziehst", "zieht", "ziehen")),
        ("work for/arbeiten", ("arbeite", "arbeitest", "arbeitet", "arbeiten")),
        ("invite/einladen", ("lade", "lädst", "lädt", "laden")),
        ("feed/füttern", ("füttere", "fütterst", "füttert", "füttern")),
        ("greet/grüßen", ("grüße", "grüßt", "grüßt", "grüßen")),
        ("like/mögen", ("mag", "magst", "mag", "mögen")),
    ],
)
def test_german_verb_forms(name: str, forms: tuple[str, ...]) -> None:
    assert present(VERB[name]) == forms


@pytest.mark.parametrize(
    ("base", "form"),
    [("read", "reads"), ("watch", "watches"), ("go", "goes"), ("carry", "carries"), ("buy", "buys"), ("have", "has")],
)
def test_english_third_person(base: str, form: str) -> None:
    assert third_person(base) == form


def test_every_class_in_the_tables_has_a_noun() -> None:
    classes = {name for noun in NOUN.values() for name in noun.classes} | {"state"}
    groups = {name for entry in PLACE for name in entry.groups}
    for entry in VERB.values():
        assert set(entry.objects) <= classes | NOUN.keys(), entry.name
        assert set(entry.subjects) <= classes | NOUN.keys() | {"being", "it"}, entry.name
        assert set(entry.places) <= groups | NOUN.keys(), entry.name
        assert bool(entry.objects) == (entry.object is not None), entry.name
        assert bool(entry.places) == (entry.where in ("at", "to")), entry.name
    for adjective in ADJECTIVE.values():
        assert set(adjective.classes) <= classes, adjective.english


@pytest.mark.parametrize("wish", [Wish(), Wish(bare=True), Wish(bare=True, countless=True), Wish(indefinite=True)])
def test_what_is_counted_has_an_article_where_it_is_one(wish: Wish) -> None:
    phrases = Phrases(Dice(1))
    for noun in NOUN.values():
        for _ in range(20):
            phrase = phrases.noun_phrase(noun, wish, None)
            assert phrase.determiner.english or phrase.plural or noun.english_plural is None, phrase
