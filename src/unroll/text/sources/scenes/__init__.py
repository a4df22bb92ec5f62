"""Scenes: small pictures of shapes, drawn on the spot, with all captions that a small grammar has for each.

The test part shows shapes in colours that training never shows together, so that it asks for new combinations of known
words (compositional generalisation; Lake and Baroni, 2018).
"""

import io
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from unroll.settings import PathName, Seed
from unroll.text.corpus import ColumnKind, Corpus, Row
from unroll.text.sources.scenes.captions import captions
from unroll.text.sources.scenes.drawing import draw_scene
from unroll.text.sources.scenes.scene import draw_arrangement, held_out, is_new
from unroll.text.sources.settings import SourceSettings

KINDS: dict[str, ColumnKind] = {"image": "bytes", "captions": "texts"}


class CorpusSettings(SourceSettings):
    """Pictures of shapes with captions."""

    images: ClassVar[tuple[str, ...]] = ("image",)

    source: Literal["scenes"]
    path: PathName
    """What DVC watches: the folder of the grammar."""
    scenes: int = Field(default=20_000, ge=20, le=1_000_000)
    """Pictures over all splits: a twelfth for validation and a twelfth for the test, 1000 at most each."""
    pixels: int = Field(default=32, ge=24, le=512)
    """Height and width of a picture."""
    seed: Seed = 1
    """Another seed, other pictures and another test."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return "image", "captions"


def read(settings: CorpusSettings) -> Corpus:
    """The corpus; its pictures are drawn when its rows are asked for."""
    return Corpus(
        columns=settings.column_names,
        licence="Apache-2.0",
        origin=f"pictures drawn by unroll, seed {settings.seed}",
        rows=_rows(settings),
        kinds=KINDS,
    )


def _rows(settings: CorpusSettings) -> Iterator[Row]:
    dice = np.random.default_rng(settings.seed)
    kept_back = held_out(dice)
    part = min(1_000, settings.scenes // 12)
    for split, count in (("train", settings.scenes - 2 * part), ("valid", part), ("test", part)):
        for _ in range(count):
            scene = draw_arrangement(dice)
            while is_new(scene, kept_back) != (split == "test"):
                scene = draw_arrangement(dice)
            file = io.BytesIO()
            draw_scene(scene, settings.pixels, dice).save(file, format="PNG")
            yield split, (file.getvalue(), captions(scene))
