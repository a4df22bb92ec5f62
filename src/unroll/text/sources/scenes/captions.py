"""All that the grammar has to say of a scene."""

from unroll.text.sources.scenes.scene import Scene, Thing

NUMBERS = ("one", "two", "three", "four")
PLURALS = {"circle": "circles", "square": "squares", "triangle": "triangles", "cross": "crosses"}
WAYS = {"left": ("to the left of", "to the right of"), "above": ("above", "below")}
"""How the first thing lies to the second, and the second to the first."""


def captions(scene: Scene) -> tuple[str, ...]:
    """Every caption of the scene, in a fixed order; two scenes that differ share none."""
    if scene.second is not None and scene.relation is not None:
        there, back = WAYS[scene.relation]
        first, second = _one(scene.first), _one(scene.second)
        sentences = (f"{first} {there} {second}", f"{second} {back} {first}")
        return *sentences, *(f"there is {sentence}" for sentence in sentences)
    if scene.count == 1:
        return _one(scene.first), f"there is {_one(scene.first)}", f"the picture shows {_one(scene.first)}"
    thing = scene.first
    several = f"{NUMBERS[scene.count - 1]} {thing.size} {thing.colour} {PLURALS[thing.shape]}"
    return several, f"there are {several}", f"the picture shows {several}"


def _one(thing: Thing) -> str:
    return f"a {thing.size} {thing.colour} {thing.shape}"
