"""What encoding finds out about a field: how much is known, how long texts are, what `max_length` cuts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unroll.text.counting import SplitCounts
from unroll.text.specials import SPECIALS, UNK
from unroll.text.vocabulary import EncodedTexts, Vocabulary, printable

SHOWN = 10  # most frequent unknown or spelled tokens


class FieldCounts:
    """Counts of one field in one split, added up row by row. Tokens count without EOS unless said otherwise.

    What is cut of `single` texts is cut where each is read alone (`context: text`); their stream is whole.
    """

    def __init__(self, vocabulary: Vocabulary, single: bool) -> None:
        self._where = "_with_context_text" if single else ""
        self._vocabulary = vocabulary
        self._known = len(vocabulary)
        self._spells = vocabulary.unit == "hybrid"
        self._seen = np.zeros(self._known, dtype=np.int64)  # by id, open ones too
        self._lengths = np.zeros(1, dtype=np.int64)  # rows by the binary digits of their length
        self._unknown = SplitCounts(vocabulary.unknown_tokens, vocabulary.are_tokens)
        self.rows = self._characters = self._cut_rows = self._cut_tokens = 0

    def add(self, characters: int, encoded: EncodedTexts, kept: NDArray[np.int64]) -> None:
        """Take N texts: how long they are together, their ids, and how many of each and its EOS are kept (N,)."""
        self.rows += len(encoded.lengths)
        self._characters += characters
        self._seen = _sum(self._seen, np.bincount(encoded.ids))
        self._lengths = _sum(self._lengths, np.bincount(np.frexp(encoded.lengths)[1]))
        cut = encoded.lengths + 1 - kept
        self._cut_rows += int((cut > 0).sum())
        self._cut_tokens += int(cut.sum())
        self._unknown.add(encoded.unknown)

    def manifest(self) -> dict[str, int]:
        """The figures of the manifest; tokens with EOS."""
        found = {
            "tokens": int(self._seen.sum()) + self.rows,
            "unknown": int(self._seen[UNK]),
            f"cut_rows{self._where}": self._cut_rows,
            f"cut_tokens{self._where}": self._cut_tokens,
        }
        return found | {"spelled": int(self._seen[self._known :].sum())} if self._spells else found

    def report(self) -> dict[str, Any]:
        """The figures of the report."""
        unknown_tokens = self._unknown.tokens
        tokens, unknown = int(self._seen.sum()), int(self._seen[UNK])
        types = int((self._seen[len(SPECIALS) :] > 0).sum())
        known_types = int((self._seen[len(SPECIALS) : self._known] > 0).sum())
        found = {
            "rows": self.rows,
            "characters": self._characters,
            "tokens": tokens,
            "characters_per_token": _share(self._characters, tokens),
            "oov_rate": _share(unknown, tokens),
            "coverage": _share(known_types, types + len(unknown_tokens)),
            "vocabulary_used": _share(known_types, self._known - len(SPECIALS)),
            f"cut_rows{self._where}": self._cut_rows,
            f"cut_rows_share{self._where}": _share(self._cut_rows, self.rows),
            f"cut_tokens{self._where}": self._cut_tokens,
            f"cut_tokens_share{self._where}": _share(self._cut_tokens, tokens + self.rows),
            "frequent_unknown": [[printable(token), n] for token, n in unknown_tokens.ranked(SHOWN)],
        }
        if self._spells:
            spelled = self._seen[self._known :]
            met = np.flatnonzero(spelled).tolist()
            named = {self._vocabulary.tokens([self._known + n])[0]: int(spelled[n]) for n in met}
            frequent = sorted(named.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
            found |= {"spelled": _share(int(spelled.sum()), tokens), "frequent_spelled": list(map(list, frequent))}
        return found

    def histogram(self) -> dict[str, list[int]]:
        """Rows by length: `counts[i]` of them have at least `edges[i]` and fewer than `edges[i + 1]` tokens."""
        return {
            "edges": [0, *(1 << n for n in range(len(self._lengths)))],
            "counts": self._lengths.tolist(),
        }


def _sum(counts: NDArray[np.int64], more: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of two arrays, of which one may be longer."""
    short, long = (counts, more) if len(counts) < len(more) else (more, counts)
    total = long.copy()
    total[: len(short)] += short
    return total


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
