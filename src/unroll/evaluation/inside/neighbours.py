"""Which tokens have similar embeddings.

V vocabulary, E embedding, N tokens asked about, K neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from unroll.evaluation.figures import drawable
from unroll.evaluation.inside.page import page
from unroll.text.specials import SPECIALS
from unroll.text.vocabulary import Vocabulary

FREQUENT, RARER, NEAREST = 16, 16, 8


@dataclass(frozen=True)
class Neighbours:
    """A token, how often training saw it, and the tokens nearest to it with their cosines, the nearest first."""

    token: int
    count: int
    nearest: list[tuple[int, float]]


def tokens_to_show(counts_V: NDArray[np.int64]) -> list[int]:
    """The most frequent tokens, and some down to the rarest, evenly spaced by the logarithm of their rank."""
    seen = len(SPECIALS) + np.flatnonzero(counts_V[len(SPECIALS) :])
    ranked = seen[np.argsort(-counts_V[seen], kind="stable")]
    below = np.geomspace(FREQUENT + 1, max(len(ranked), FREQUENT + 1), RARER).round().astype(int) - 1
    places = [*range(FREQUENT), *dict.fromkeys(below.tolist())]
    return [int(ranked[place]) for place in places if place < len(ranked)]


def neighbours(
    vectors_VE: NDArray[np.float32], counts_V: NDArray[np.int64], tokens_N: Sequence[int]
) -> list[Neighbours]:
    """The nearest of each token by cosine, among all that training saw but the specials; ties to the lower id."""
    lengths_V = np.linalg.norm(vectors_VE, axis=1, keepdims=True)
    units_VE = vectors_VE / np.where(lengths_V > 0, lengths_V, 1)
    candidates = len(SPECIALS) + np.flatnonzero(counts_V[len(SPECIALS) :])
    found = []
    for token, cosines in zip(tokens_N, units_VE[list(tokens_N)] @ units_VE[candidates].T, strict=True):
        order = [int(n) for n in np.argsort(-cosines, kind="stable") if candidates[n] != token][:NEAREST]
        nearest = [(int(candidates[n]), float(cosines[n])) for n in order]
        found.append(Neighbours(token, int(counts_V[token]), nearest))
    return found


def neighbour_page(rows: Sequence[Neighbours], vocabulary: Vocabulary) -> str:
    """A table, a row a token."""
    lines = ["<table>", "<tr><th>token</th><th>count</th><th>nearest tokens, and their cosines</th></tr>"]
    for row in rows:
        near = "".join(f"{_code(vocabulary, n)}<small>{cosine:.2f}</small> " for n, cosine in row.nearest)
        token = _code(vocabulary, row.token)
        lines.append(f"<tr><td>{token}</td><td class=count>{row.count:,}</td><td>{near}</td></tr>")
    return page("Neighbours among embeddings", [_INTRODUCTION, *lines, "</table>"])


def _code(vocabulary: Vocabulary, token: int) -> str:
    return f"<code>{escape(drawable(vocabulary.tokens([token]))[0])}</code>"


_INTRODUCTION = (
    f"<p>The {FREQUENT} most frequent tokens of the training text and up to {RARER} rarer ones, evenly spaced by the "
    "logarithm of their rank, each with the tokens whose embeddings have the largest cosine with its own. "
    "A token seen a few times only has hardly moved from its random start. "
    "␣ is a space, ⏎ a line end, ▪ a side on which a token joins its neighbour without a space.</p>"
)
