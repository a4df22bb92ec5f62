"""What encoding finds out about a field: how much is known, how long texts are, what `max_length` cuts."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unroll.text.specials import SPECIALS, UNK
from unroll.text.vocabulary import Vocabulary, printable

SHOWN = 10  # most frequent unknown or spelled tokens


class FieldCounts:
    """Counts of one field in one split, added up row by row. Tokens count without EOS unless said otherwise.

    What is cut of `single` texts is cut where each is read alone (`context: text`); their stream is whole.
    """

    def __init__(self, vocabulary: Vocabulary, single: bool) -> None:
        self._where = "_with_context_text" if single else ""
        self._vocabulary = vocabulary
        self._spells = vocabulary.unit == "hybrid"
        self._seen = np.zeros(len(vocabulary), dtype=np.int64)
        self._lengths = np.zeros(1, dtype=np.int64)  # rows by the binary digits of their length
        self._unknown: Counter[str] = Counter()
        self._spelled: Counter[int] = Counter()  # by open id
        self.rows = self._characters = self._cut_rows = self._cut_tokens = 0

    def add(
        self, texts: Sequence[str], ids: NDArray[np.int64], lengths: NDArray[np.int64], kept: NDArray[np.int64]
    ) -> None:
        """Take N texts: their ids, how many each has (N,), and how many of these and its EOS are kept (N,)."""
        self.rows += len(texts)
        self._characters += sum(map(len, texts))
        open_ids = ids >= len(self._seen)
        self._seen += np.bincount(ids[~open_ids], minlength=len(self._seen))
        self._spelled.update(ids[open_ids].tolist())
        digits = np.bincount(np.frexp(lengths)[1], minlength=len(self._lengths))
        digits[: len(self._lengths)] += self._lengths
        self._lengths = digits
        cut = lengths + 1 - kept
        self._cut_rows += int((cut > 0).sum())
        self._cut_tokens += int(cut.sum())
        for row in np.unique(np.repeat(np.arange(len(texts)), lengths)[ids == UNK]):
            self._unknown.update(self._vocabulary.unknown_tokens(texts[row]))

    def manifest(self) -> dict[str, int]:
        """The figures of the manifest; tokens with EOS."""
        found = {
            "tokens": int(self._seen.sum()) + self._spelled.total() + self.rows,
            "unknown": int(self._seen[UNK]),
            f"cut_rows{self._where}": self._cut_rows,
            f"cut_tokens{self._where}": self._cut_tokens,
        }
        return found | {"spelled": self._spelled.total()} if self._spells else found

    def report(self) -> dict[str, Any]:
        """The figures of the report."""
        spelled = self._spelled.total()
        tokens, unknown = int(self._seen.sum()) + spelled, int(self._seen[UNK])
        known_types = int((self._seen[len(SPECIALS) :] > 0).sum())
        found = {
            "rows": self.rows,
            "characters": self._characters,
            "tokens": tokens,
            "characters_per_token": _share(self._characters, tokens),
            "oov_rate": _share(unknown, tokens),
            "coverage": _share(known_types, known_types + len(self._unknown) + len(self._spelled)),
            "vocabulary_used": _share(known_types, len(self._seen) - len(SPECIALS)),
            f"cut_rows{self._where}": self._cut_rows,
            f"cut_rows_share{self._where}": _share(self._cut_rows, self.rows),
            f"cut_tokens{self._where}": self._cut_tokens,
            f"cut_tokens_share{self._where}": _share(self._cut_tokens, tokens + self.rows),
            "frequent_unknown": [[printable(token), count] for token, count in _most(self._unknown)],
        }
        if self._spells:
            named = Counter({self._vocabulary.tokens([n])[0]: count for n, count in self._spelled.items()})
            found |= {"spelled": _share(spelled, tokens), "frequent_spelled": list(map(list, _most(named)))}
        return found

    def histogram(self) -> dict[str, list[int]]:
        """Rows by length: `counts[i]` of them have at least `edges[i]` and fewer than `edges[i + 1]` tokens."""
        return {
            "edges": [0, *(1 << n for n in range(len(self._lengths)))],
            "counts": self._lengths.tolist(),
        }


def _most(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
