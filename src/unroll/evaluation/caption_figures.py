"""Figures of captions: images with what was said of them, and where each word looked.

H height, W width, T target time, P positions of the grid: a square, line by line.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from unroll.evaluation.figures import COLOURS, FAINT, drawable, png

ACROSS, WORDS_ACROSS, MOST_WORDS = 4, 6, 24
LETTERS = 34  # of a line under an image
EXACT, OTHER = COLOURS[2], "black"


@dataclass(frozen=True)
class Shown:
    """An image (H, W, 3), its caption, one of its references, and whether the caption is one of them all."""

    image: NDArray[np.uint8]
    caption: str
    reference: str
    exact: bool


def contact_sheet(shown: Sequence[Shown]) -> bytes:
    """Images with their captions, in green where they are one of the references; a reference below in grey."""

    def draw(figure: Figure) -> None:
        for place, axes in zip(shown, _grid(figure, len(shown), ACROSS), strict=False):
            axes.imshow(place.image)
            colour = EXACT if place.exact else OTHER
            for text, height, ink in ((place.caption or "(nothing)", -0.03, colour), (place.reference, -0.27, FAINT)):
                lines = textwrap.shorten(text, 3 * LETTERS, placeholder=" …")
                axes.text(
                    0, height, textwrap.fill(lines, LETTERS), transform=axes.transAxes, color=ink, fontsize=7, va="top",
                    parse_math=False,
                )  # fmt: skip

    rows = math.ceil(len(shown) / ACROSS)
    return png(draw, 2.5 * ACROSS, 3.4 * rows)


def attention_over_image(image: NDArray[np.uint8], weights_TP: NDArray[np.float64], tokens: Sequence[str]) -> bytes:
    """The image once, then for each of the first words with what it looked at bright, the rest dark."""
    tokens = drawable(tokens)[:MOST_WORDS]
    edge = math.isqrt(weights_TP.shape[1])
    height, width = image.shape[:2]

    def draw(figure: Figure) -> None:
        first, *others = _grid(figure, len(tokens) + 1, WORDS_ACROSS)
        first.imshow(image)
        for axes, token, weights_P in zip(others, tokens, weights_TP, strict=False):
            axes.imshow(image)
            dark_HW = _scaled(1 - weights_P.reshape(edge, edge) / weights_P.max(), width, height)
            axes.imshow(np.zeros((height, width)), cmap="gray", alpha=0.8 * dark_HW)
            axes.set_title(f"{token} {weights_P.max():.2f}", fontsize=8, parse_math=False)

    rows = math.ceil((len(tokens) + 1) / WORDS_ACROSS)
    return png(draw, 1.7 * WORDS_ACROSS, 2 * rows)


def _scaled(grid: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """A grid as large as an image, smooth."""
    large = Image.fromarray(grid.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(large, dtype=np.float64).clip(0, 1)


def _grid(figure: Figure, count: int, across: int) -> list[Any]:
    """At least `count` axes without lines and numbers."""
    found: list[Axes] = list(figure.subplots(math.ceil(count / across), across, squeeze=False).flat)
    for axes in found:
        axes.set_axis_off()
    return found
