"""Which rows of a test split a person is shown, and how text becomes fit to be read."""

import numpy as np

SHOWN, PAIR_SEED = 20, 1  # pairs of each sort, and what draws those at random
LONGEST = 900  # characters of a text of a pair

# What would disturb a terminal or a browser is shown as its picture, ␀ for NUL.
_CONTROLS = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}


def random_rows(rows: int, count: int, seed: int) -> list[int]:
    """At most `count` of `rows` places, drawn by `seed`, in order."""
    return sorted(np.random.default_rng(seed).permutation(rows)[:count].tolist())


def visible(text: str) -> str:
    """`text` with pictures for its control characters, line ends and tabs apart."""
    return text.translate(_CONTROLS)


def shortened(text: str, longest: int = LONGEST) -> str:
    """`text` cut to `longest` characters, an ellipsis among them."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
