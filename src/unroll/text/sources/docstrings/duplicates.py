"""Copies and near copies of texts, found by the word sequences that they share."""

import re
import zlib

WORDS = 8  # in a sequence
ONE_IN = 4  # sequences are remembered, chosen by their hash
SHARED = 0.5  # a text with more of its sequences seen before is a copy

DIGIT = re.compile(r"\d+")
SEPARATOR = re.compile(r"[\W_]+")


class Seen:
    """The texts met so far; two texts are alike if they differ in case, digits, punctuation and spacing alone,
    or share more than half of their sequences of eight words."""

    def __init__(self) -> None:
        self._texts: set[int] = set()
        self._sequences: set[int] = set()

    def add_new(self, text: str) -> bool:
        """Remember `text` and say true, or say false where it is a copy of what is remembered."""
        words = SEPARATOR.sub(" ", DIGIT.sub("0", text.lower())).split()
        whole = zlib.crc32(" ".join(words).encode()) << 32 | len(words)
        hashes = (zlib.crc32(" ".join(words[n : n + WORDS]).encode()) for n in range(len(words) - WORDS + 1))
        chosen = {value for value in hashes if value % ONE_IN == 0}
        if whole in self._texts or len(chosen & self._sequences) > SHARED * len(chosen):
            return False
        self._texts.add(whole)
        self._sequences |= chosen
        return True
