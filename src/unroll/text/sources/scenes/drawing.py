"""Scenes as pictures: shapes on a white ground, smooth at their edges."""

import numpy as np
from PIL import Image, ImageDraw

from unroll.text.sources.scenes.scene import COLOURS, Scene, Thing

FINER = 4  # drawn so much larger, then scaled down
RADIUS = {"small": 0.10, "large": 0.16}  # in parts of the picture's edge
SHADES = 12  # by which a thing's red, green and blue differ at most from those of its colour

Place = tuple[float, float]
"""Across and down, in parts of the picture's edge."""


def draw_scene(scene: Scene, pixels: int, dice: np.random.Generator) -> Image.Image:
    """The picture (pixels x pixels, RGB) of a scene whose things lie somewhere, none over another."""
    image = Image.new("RGB", (pixels * FINER, pixels * FINER), "white")
    brush = ImageDraw.Draw(image)
    for thing, place in zip(_all_things(scene), _places(scene, dice), strict=True):
        _draw(brush, thing, _shade(thing, dice), place, pixels * FINER)
    return image.resize((pixels, pixels), Image.Resampling.BOX)


def _all_things(scene: Scene) -> list[Thing]:
    return [scene.first] * scene.count if scene.second is None else [scene.first, scene.second]


def _places(scene: Scene, dice: np.random.Generator) -> list[Place]:
    """The middle of each thing. What is left or above is clearly so, and hardly anything else."""
    if scene.second is None:
        # A quarter of the picture each, so that none touches another.
        quarters = dice.permutation(4)[: scene.count]
        return [(_near(0.25 + 0.5 * (q % 2), dice), _near(0.25 + 0.5 * (q // 2), dice)) for q in map(int, quarters)]
    shared = 0.25 + 0.5 * float(dice.random())
    ends = [(_near(0.25, dice), _near(shared, dice)), (_near(0.75, dice), _near(shared, dice))]
    return ends if scene.relation == "left" else [(down, across) for across, down in ends]


def _near(place: float, dice: np.random.Generator) -> float:
    return place + float(dice.uniform(-0.06, 0.06))


def _shade(thing: Thing, dice: np.random.Generator) -> tuple[int, ...]:
    """One of the many colours that have the name of the thing's: no two things are quite alike."""
    shade = COLOURS[thing.colour] + dice.integers(-SHADES, SHADES + 1, 3)
    return tuple(shade.clip(0, 255).tolist())


def _draw(brush: ImageDraw.ImageDraw, thing: Thing, colour: tuple[int, ...], place: Place, edge: int) -> None:
    x, y, r = place[0] * edge, place[1] * edge, RADIUS[thing.size] * edge
    box = (x - r, y - r, x + r, y + r)
    if thing.shape == "circle":
        brush.ellipse(box, fill=colour)
    elif thing.shape == "square":
        brush.rectangle(box, fill=colour)
    elif thing.shape == "triangle":
        brush.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=colour)
    else:
        brush.rectangle((x - r, y - r / 3, x + r, y + r / 3), fill=colour)
        brush.rectangle((x - r / 3, y - r, x + r / 3, y + r), fill=colour)
