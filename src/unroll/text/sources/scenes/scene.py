"""What a picture shows: one kind of thing, once or several times, or two things beside or above each other."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 160, 60),
    "blue": (50, 80, 220),
    "yellow": (235, 200, 40),
    "black": (20, 20, 20),
    "pink": (240, 130, 190),
    "orange": (240, 130, 30),
    "purple": (130, 50, 160),
    "gray": (140, 140, 140),
    "turquoise": (50, 195, 190),
}
SHAPES = ("circle", "square", "triangle", "cross")
SIZES = ("small", "large")
RELATIONS = ("left", "above")
MOST = 4  # of one kind

Relation = Literal["left", "above"]
Combination = tuple[str, str]
"""A colour and a shape."""


@dataclass(frozen=True)
class Thing:
    """One shape."""

    size: str
    colour: str
    shape: str

    @property
    def combination(self) -> Combination:
        return self.colour, self.shape


@dataclass(frozen=True)
class Scene:
    """`count` things of a kind; or `first` that is `relation` of `second`."""

    first: Thing
    count: int = 1
    relation: Relation | None = None
    second: Thing | None = None

    @property
    def things(self) -> tuple[Thing, ...]:
        return (self.first,) if self.second is None else (self.first, self.second)


def held_out(dice: np.random.Generator) -> frozenset[Combination]:
    """The combinations that are for the test alone: each shape in a colour of its own."""
    colours = dice.permutation(list(COLOURS))[: len(SHAPES)]
    return frozenset(zip(map(str, colours), SHAPES, strict=True))


def is_new(scene: Scene, kept_back: frozenset[Combination]) -> bool:
    """Whether a scene shows a combination that training does not."""
    return any(thing.combination in kept_back for thing in scene.things)


def draw_arrangement(dice: np.random.Generator) -> Scene:
    """One in three: a single thing, several of a kind, two in a relation."""
    first = _thing(dice)
    sort = dice.integers(3)
    if sort == 0:
        return Scene(first)
    if sort == 1:
        return Scene(first, count=int(dice.integers(2, MOST + 1)))
    second = _thing(dice)
    while second == first:
        second = _thing(dice)
    return Scene(first, relation="left" if dice.integers(2) else "above", second=second)


def _thing(dice: np.random.Generator) -> Thing:
    size, colour, shape = (options[dice.integers(len(options))] for options in (SIZES, list(COLOURS), SHAPES))
    return Thing(size, colour, shape)
