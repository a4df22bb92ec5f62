"""Simple properties of a running text, a number for each of its tokens.

N tokens.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unroll.text.specials import EOS
from unroll.text.vocabulary import Vocabulary

QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "„": "“", "«": "»"}
OPENING, CLOSING = "([{", ")]}"

Property = NDArray[np.float64]


def surfaces(vocabulary: Vocabulary, tokens_N: Sequence[int]) -> list[str]:
    """What each token adds to the text, the space that its unit implies in front of it included; "" for an end."""
    known: dict[tuple[int, int], str] = {}
    found = []
    before = EOS
    for token in tokens_N:
        pair = before, token
        if pair not in known:
            old, both = vocabulary.decode([before]), vocabulary.decode(pair)
            known[pair] = both[len(old) :] if both.startswith(old) else vocabulary.decode([token])
        found.append(known[pair])
        before = token
    return found


def properties(surfaces_N: Sequence[str]) -> dict[str, Property]:
    """Each property (N,) by name, as it is once a token has been read; an empty token begins a new text."""
    reader = _Reader()
    table = [reader.read(surface) for surface in surfaces_N]
    return {name: np.array([row[name] for row in table], dtype=np.float64) for name in table[0]}


class _Reader:
    """Where in its text a character stands."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Stand in front of a text."""
        self.in_text = self.in_line = self.in_word = self.depth = 0
        self.closing = ""  # the sign that ends the quotation; "" outside one
        self.indented = True  # nothing but white space in this line so far
        self.last = ""

    def read(self, surface: str) -> dict[str, float]:
        """The properties after `surface`."""
        if not surface:
            self.begin()
        for c in surface:
            self._step(c)
        return {
            "inside quotation marks": bool(self.closing),
            "inside brackets": self.depth > 0,
            "place in the line": self.in_line,
            "place in the word": self.in_word,
            "logarithm of the place in the text": np.log1p(self.in_text),
            "white space at the start of a line": self.indented,
            "white space": surface.isspace(),
            "capital letter": any(c.isupper() for c in surface),
            "digit": any(c.isdigit() for c in surface),
            "punctuation mark": any(not c.isalnum() and not c.isspace() for c in surface),
        }

    def _step(self, c: str) -> None:
        self.in_text += 1
        self.in_word = 0 if c.isspace() else self.in_word + 1
        if c == "\n":
            if self.last == "\n":  # an empty line ends what was left open
                self.closing, self.depth = "", 0
            self.in_line, self.indented = 0, True
        else:
            self.in_line += 1
            self.indented = self.indented and c.isspace()
        if c == self.closing:
            self.closing = ""
        elif not self.closing and c in QUOTES and not (c == "'" and self.last.isalnum()):  # else an apostrophe
            self.closing = QUOTES[c]
        self.depth = max(0, self.depth + (c in OPENING) - (c in CLOSING))
        self.last = c
