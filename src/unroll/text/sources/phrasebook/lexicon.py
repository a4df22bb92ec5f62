"""The entries of the phrasebook's dictionary, and how they are read from the tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from unroll.text.sources.phrasebook.nouns import ADJECTIVES, FIXED_PLACES, NOUNS, PLACES
from unroll.text.sources.phrasebook.verbs import VERBS

BEINGS = ("person", "animal", "infant")


@dataclass(frozen=True)
class Noun:
    """A noun; its English singular is its name."""

    english: str
    english_plural: str | None
    german: str
    gender: str
    """m, f or n"""
    german_plural: str | None
    weak: bool
    """Every case but the nominative looks like the plural (der Nachbar, den Nachbarn)."""
    classes: tuple[str, ...]

    def fits(self, wanted: tuple[str, ...]) -> bool:
        """Whether the noun is one of `wanted`, which are classes, "being" for all that lives, and nouns."""
        if "being" in wanted and any(name in self.classes for name in BEINGS):
            return True
        return self.english in wanted or any(name in wanted for name in self.classes)


@dataclass(frozen=True)
class Adjective:
    """An adjective with the noun classes it describes; `stem` is what the German endings are added to."""

    english: str
    german: str
    stem: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Slot:
    """A place for a noun phrase beside the verb: its German case, its prepositions, whether it must be filled."""

    case: str
    """acc or dat"""
    english: str = ""
    german: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Verb:
    """A verb in both languages, with what goes with it."""

    base: str
    past: str
    participle: str
    """the -ing form"""
    particle: str
    prefix: str
    """the German separable prefix, or nothing"""
    infinitive: str
    """without the prefix"""
    third: str
    german_participle: str
    auxiliary: str
    """haben or sein, for the perfect"""
    subjects: tuple[str, ...] = ("person",)
    object: Slot | None = None
    recipient: Slot | None = None
    objects: tuple[str, ...] = ()
    where: str = ""
    """at or to, or nothing where no place goes with the verb"""
    where_needed: bool = False
    places: tuple[str, ...] = ()
    flags: str = ""

    @property
    def name(self) -> str:
        """What tells the verb from all others."""
        preposition = self.object.english if self.object else ""
        english = " ".join(filter(None, (self.base, self.particle, preposition)))
        return f"{english}/{self.prefix}{self.infinitive}"


@dataclass(frozen=True)
class Place:
    """Somewhere: a noun with its prepositions, or phrases that stay as they are (`noun` None)."""

    noun: Noun | None
    at: tuple[str, str]
    """English and German: prepositions (with the dative), or the whole phrase"""
    to: tuple[str, str] | None
    to_case: str
    groups: tuple[str, ...]


def rows(table: str) -> Iterator[list[str]]:
    """The rows of a table, cell by cell; an indented line goes on with the row above."""
    for row in table.strip().replace("\n ", " ").splitlines():
        yield [cell.strip() for cell in row.split("|")]


def spaced(entry: str) -> str:
    return entry.replace("_", " ")


def verb(cells: list[str]) -> Verb:
    """The verb of one row of a table like `VERBS`; cells after the second may be missing."""
    parts, particle, _ = (*cells[0].split(" +"), "", "")[:3]
    base, past, participle = parts.split()
    infinitive, third, *perfect = cells[1].split()
    prefix, _, stem = infinitive.rpartition(".")
    details = ["" if cell == "-" else cell for cell in cells[2:]]
    subjects, frame, objects, where, flags = details + ["person", "", "", "", ""][len(details) :]
    slot, recipient = _frame(frame)
    direction, *places = where.split() or [""]
    return Verb(
        base, past, participle, particle,
        prefix, stem, third, perfect[-1], "sein" if perfect[0] == "ist" else "haben",
        tuple(subjects.split()), slot, recipient, tuple(spaced(name) for name in objects.split()),
        direction.rstrip("!"), "!" in direction, tuple(spaced(name) for name in places), flags,
    )  # fmt: skip


def _frame(text: str) -> tuple[Slot | None, Slot | None]:
    """The slots of the object and of the recipient, as `verbs.py` explains."""
    if not text:
        return None, None
    first, *rest = text.split()
    cases, _, english = first.rstrip("?").partition(":")
    german, _, case = cases.rpartition("+")
    recipient = None
    if rest:
        word = rest[0].rstrip("?")
        recipient = Slot("dat", "" if word == "give" else "to", optional=rest[0].endswith("?"))
    return Slot(case, english, german, first.endswith("?")), recipient


def _noun(cells: list[str]) -> Noun:
    english, plural = (spaced(word) for word in cells[0].split())
    german, gender, german_plural = cells[1].split()
    return Noun(
        english,
        None if plural == "-" else plural,
        german,
        gender[0],
        None if german_plural == "-" else german_plural,
        "*" in gender,
        tuple(cells[2].split()),
    )


def _place(cells: list[str]) -> Place:
    at, to = ([spaced(word) for word in cell.split()] for cell in cells[1:3])
    if to == ["-"]:
        return Place(NOUN[cells[0]], (at[0], at[1]), None, "", tuple(cells[3].split()))
    german, _, case = to[1].partition("+")
    return Place(NOUN[cells[0]], (at[0], at[1]), (to[0], german), case, tuple(cells[3].split()))


def _fixed_place(cells: list[str]) -> Place:
    at, to = ([spaced(word) for word in cell.split()] for cell in cells[:2])
    return Place(None, (at[0], at[1]), (to[0], to[1]), "", tuple(cells[2].split()))


NOUN = {noun.english: noun for noun in map(_noun, rows(NOUNS))}
ADJECTIVE = {
    cells[0]: Adjective(cells[0], cells[1].split()[0], cells[1].split()[-1], tuple(cells[2].split()))
    for cells in rows(ADJECTIVES)
}
VERB = {entry.name: entry for entry in map(verb, rows(VERBS))}
PLACE = [*map(_place, rows(PLACES)), *map(_fixed_place, rows(FIXED_PLACES))]
STATES = tuple(entry for entry in ADJECTIVE.values() if "state" in entry.classes)


@cache
def nouns_for(wanted: tuple[str, ...]) -> tuple[Noun, ...]:
    """The nouns that are one of `wanted`, in the order of the table."""
    return tuple(noun for noun in NOUN.values() if noun.fits(wanted))


@cache
def adjectives_for(noun: Noun) -> tuple[Adjective, ...]:
    """The adjectives that describe `noun`, in the order of the table."""
    return tuple(entry for entry in ADJECTIVE.values() if any(name in noun.classes for name in entry.classes))


@cache
def places_for(entry: Verb, direction: str) -> tuple[Place, ...]:
    """The places that go with a verb, where ("at") or whither ("to")."""
    return tuple(
        place
        for place in PLACE
        if (direction == "at" or place.to is not None)
        and any(name in entry.places for name in (*place.groups, place.noun.english if place.noun else ""))
    )
