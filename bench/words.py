"""Text as large as one likes whose words are as frequent, and as many, as those of English.

The 10,000 most frequent words follow Zipf's law and are 88% of a text; rarer ones follow a steeper power, so that a
million words have some 90,000 distinct ones, and new ones never cease.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from unroll.text.corpus import Corpus, write_corpus

FREQUENT, SHARE, POWER = 10_000, 0.88, 0.6
LAST = 1 << 26  # of the words
LINE = 20  # words
BLOCK = 50_000  # lines drawn at once
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


def lines(words: int, seed: int = 1) -> Iterator[str]:
    """Lines of `LINE` words and a full stop, as many as make at least `words` words."""
    random = np.random.default_rng(seed)
    frequent = [_spelled(rank) for rank in range(FREQUENT + 1)]
    remaining = -(-words // (LINE + 1))
    while remaining > 0:
        count = min(BLOCK, remaining)
        for row in _ranks(random, count).tolist():
            yield " ".join([frequent[rank] if rank <= FREQUENT else _spelled(rank) for rank in row]) + " ."
        remaining -= count


def corpus(words: int, folder: Path) -> Path:
    """The corpus in `folder` whose training split has so many words; it is written unless it is there."""
    if not folder.exists():
        small = [(split, (line,)) for split in ("valid", "test") for line in lines(2_000, seed=2)]
        train = (("train", (line,)) for line in lines(words))
        rows = (row for part in (small, train) for row in part)
        write_corpus(Corpus(columns=("text",), licence="CC0", origin="drawn", rows=rows), folder)
    return folder


def _ranks(random: np.random.Generator, count: int) -> np.ndarray:
    """The ranks of words (count, LINE)."""
    u = random.random((count, LINE))
    common = np.exp(u / SHARE * np.log(FREQUENT))
    rare = FREQUENT * (np.maximum(1 - u, 1e-12) / (1 - SHARE)) ** (-1 / POWER)
    return np.minimum(np.where(u < SHARE, common, rare), LAST).astype(np.int64)


@lru_cache(1 << 20)
def _spelled(rank: int) -> str:
    """The word of a rank: the more frequent, the shorter."""
    parts = [_SYLLABLES[rank % len(_SYLLABLES)]]
    while rank := rank // len(_SYLLABLES):
        parts.append(_SYLLABLES[rank % len(_SYLLABLES)])
    return "".join(parts)
