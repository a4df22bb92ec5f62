"""Single units over text: which of them can be understood, and the page that shows them.

N tokens, H units, P properties. After Karpathy et al. (2015), figure 2.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unroll.evaluation.inside.page import LEVELS, coloured_text, legend, page
from unroll.evaluation.inside.properties import Property
from unroll.text.specials import EOS, SPECIALS

SHOWN = 8  # units that a property explains
WEAKEST = 0.3  # correlation of them
CHARACTERS = 900  # of text under each


@dataclass(frozen=True)
class Unit:
    """A unit of the top layer, and the property whose correlation with it is strongest."""

    number: int
    """Counted from 0."""
    property: str | None
    """None for the unit that is shown because it varies most."""
    correlation: float


def choose_units(activations_NH: NDArray[np.float32], described: Mapping[str, Property]) -> list[Unit]:
    """The pairs of a unit and a property with the largest |Pearson correlation|, no unit and no property twice.

    At most `SHOWN`, none below `WEAKEST`; then the unit left whose activation varies most. Ties: the first.
    """
    values_NH = activations_NH.astype(np.float64)
    values_PN = np.array(list(described.values()))
    r_PH = _standard(values_PN.T).T @ _standard(values_NH) / len(values_NH)
    found: list[Unit] = []
    free_PH = np.ones(r_PH.shape, dtype=bool)
    while len(found) < SHOWN:
        strength_PH = np.where(free_PH, np.abs(r_PH), 0)
        p, h = (int(n) for n in np.unravel_index(strength_PH.argmax(), strength_PH.shape))
        if strength_PH[p, h] < WEAKEST:
            break
        found.append(Unit(h, list(described)[p], float(r_PH[p, h])))
        free_PH[p], free_PH[:, h] = False, False
    spread_H = values_NH.std(axis=0)
    spread_H[[unit.number for unit in found]] = -1
    if spread_H.max() >= 0:
        found.append(Unit(int(spread_H.argmax()), None, 0.0))
    return found


def _standard(values_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns with mean 0 and variance 1; a column that never changes is 0, and correlates with nothing."""
    centred = values_ND - values_ND.mean(axis=0)
    spread = centred.std(axis=0)
    varies = spread > 1e-9 * np.abs(values_ND).max(axis=0, initial=0)
    return np.where(varies, centred / np.where(varies, spread, 1), 0)


def stretches(pieces_N: Sequence[str], length: int) -> list[int]:
    """Where stretches of `length` tokens may begin: about every half of it, where a line does if there is one."""
    last = max(0, len(pieces_N) - length)
    opens = [n for n in range(last + 1) if n == 0 or pieces_N[n - 1].endswith("⏎") or pieces_N[n] == SPECIALS[EOS]]
    step = max(1, length // 2)
    starts = []
    for start in range(0, last + 1, step):
        place = bisect_left(opens, start)
        starts.append(opens[place] if place < len(opens) and opens[place] < start + step else start)
    return starts


def liveliest(values_N: Property, starts: Sequence[int], length: int) -> int:
    """The start of the stretch in which the values vary most, the first of equals.

    The largest twentieth of positive values count as the one below them, lest one long line decide.
    """
    if (values_N > 0).any():
        values_N = np.minimum(values_N, np.quantile(values_N[values_N > 0], 0.95))
    return max(starts, key=lambda start: (float(values_N[start : start + length].var()), -start))


def unit_page(
    name: str, activations_NH: NDArray[np.float32], pieces_N: Sequence[str], described: Mapping[str, Property]
) -> str:
    """Units that can be understood, each over a stretch of test text; `name` says what an activation is.

    `pieces_N` is each token as it is shown, with signs for white space.
    """
    mean = sum(map(len, pieces_N)) / len(pieces_N)
    length = max(1, round(CHARACTERS / max(mean, 1)))
    starts = stretches(pieces_N, length)
    parts = [_INTRODUCTION.format(name=name, tokens=len(pieces_N), units=activations_NH.shape[1], weakest=WEAKEST)]
    for unit in choose_units(activations_NH, described):
        values_N = activations_NH[:, unit.number].astype(np.float64)
        start = liveliest(described[unit.property] if unit.property else values_N, starts, length)
        largest = float(np.abs(values_N).max()) or 1.0
        shown = slice(start, start + length)
        levels = np.rint(values_N[shown] / largest * LEVELS).astype(int).tolist()
        told = f"{unit.property}, r = {unit.correlation:+.2f}" if unit.property else "varies most among the rest"
        parts.append(
            f"<h2>Unit {unit.number}: {told}</h2>\n{legend(largest)}\n{coloured_text(pieces_N[shown], levels)}"
        )
    return page("Single units over text", parts)


_INTRODUCTION = (
    "<p>Each token of test text is coloured by what one unit of the top layer says once it has been read: {name}. "
    "Among {units} units those are shown whose activation correlates most (Pearson’s r over the first {tokens:,} "
    "tokens, at least {weakest} in size) with a simple property of the text, no property twice; "
    "then the unit that varies most among the rest. The text under each is where the property itself varies most. "
    "␣ is a space, ⏎ a line end, ⇥ a tab, &lt;/s&gt; the end of a text.</p>"
)
