r"""ARPA files, as SRILM and KenLM read and write them.

A word of an ARPA file has no white space and is none of `<s>`, `</s>`, `<unk>`. A token that does, or is, is escaped:
such a character becomes `\u{...}`, its code point in hexadecimal between the braces, and the empty token `\u{}`. A
token that looks like an escape has its backslash escaped, so that `unescape` always gives back the token; all others
stand as they are.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unroll.errors import UserError
from unroll.files import whole_file
from unroll.kinds.ngram.counts import Ints
from unroll.kinds.ngram.model import NgramModel, Table
from unroll.text.specials import BOS, PAD, SPECIALS, UNK

DIGITS = 15  # of a count
NEVER = -99.0  # how ARPA writes the logarithm of zero
UNKNOWN = -100.0  # log10 probability of the unknown token where a file has none, as KenLM takes it

_UNFIT = re.compile(r"[\s\x00-\x1f\x7f]|\\(?=u\{[0-9a-f]*\})")
_ESCAPE = re.compile(r"\\u\{([0-9a-f]*)\}")
_SPECIAL = {special.lower() for special in SPECIALS}  # in KenLM <UNK> is <unk>, too

Lines = Iterator[tuple[int, str]]


def escape(token: str) -> str:
    """The word of an ordinary token."""
    if token.lower() in _SPECIAL:
        return _code(token[0]) + token[1:]
    return _UNFIT.sub(lambda found: _code(found.group()), token) or r"\u{}"


def unescape(word: str) -> str:
    """The token of a word: `unescape(escape(token)) == token`. `ValueError` for the escape of no character."""
    token = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", word)
    if token != word:
        token.encode("utf-8")  # which lone surrogates cannot be
    return token


def _code(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"


def write_arpa(model: NgramModel, tokens: Sequence[str], path: Path) -> None:
    """Write `model`, whose id n is `tokens[n]`, the specials first; whole or not at all.

    PAD is left out, and so are orders without n-grams. `<s>` is there also in a model of a stream, since tools ask for
    it. Raises `ValueError` if there is not one token for each id, each another.
    """
    words = [*SPECIALS, *map(escape, tokens[len(SPECIALS) :])]
    if len(set(words)) != model.vocabulary or len(words) != model.vocabulary:
        raise ValueError(f"{len(set(words))} distinct tokens for a model with {model.vocabulary} ids")
    order = sum(len(table.keys) > 0 for table in model.tables)
    sizes = [len(table.keys) for table in model.tables[:order]]
    sizes[0] -= 1  # PAD
    with whole_file(path) as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {n}={size}\n" for n, size in enumerate(sizes, start=1))
        for n in range(1, order + 1):
            file.write(f"\n\\{n}-grams:\n")
            file.writelines(_lines(model, n, words, backs_off=n < order))
        file.write("\n\\end\\\n")


def _lines(model: NgramModel, order: int, words: Sequence[str], backs_off: bool) -> Iterator[str]:
    table = model.tables[order - 1]
    log10p = np.where(np.isneginf(table.log10p), NEVER, table.log10p).tolist()
    backoffs = table.backoff.tolist() if backs_off else repeat(None, len(log10p))
    for gram, p, backoff in zip(_grams(model, order).tolist(), log10p, backoffs, strict=True):
        if gram == [PAD]:
            continue
        text = " ".join([words[token] for token in gram])
        # Nine digits give back every number in single precision.
        yield f"{p:.9g}\t{text}\n" if backoff is None else f"{p:.9g}\t{text}\t{backoff:.9g}\n"


def _grams(model: NgramModel, order: int) -> Ints:
    """The tokens (N, order) of all n-grams of one order."""
    columns: list[Ints] = []
    rows = np.arange(len(model.tables[order - 1].keys))
    for table in reversed(model.tables[:order]):
        keys = table.keys[rows]
        columns.append(keys % model.vocabulary)
        rows = keys // model.vocabulary
    return np.stack(columns[::-1], axis=1)


def read_arpa(path: Path) -> tuple[NgramModel, list[str]]:
    """The model in a file, and the token of each of its ids: the specials first, then in the order of the file.

    Words are parted by spaces or tabs. Raises `UserError` naming the line that is not right; each n-gram's first
    words must be an n-gram of the order below. A file without `<unk>` gives it what KenLM does.
    """
    with path.open(encoding="utf-8", newline="\n") as file:
        try:
            return _read(path, enumerate((line.rstrip("\r\n") for line in file), start=1))
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 ({error.reason}); a compressed file must be unpacked first") from None


def _read(path: Path, lines: Lines) -> tuple[NgramModel, list[str]]:
    sizes = _sizes(path, lines)
    ids = {word: n for n, word in enumerate(SPECIALS)}
    tables: list[Table] = []
    for n, size in enumerate(sizes, start=1):
        section = _Section(path, n, n == len(sizes), ids)
        section.read(lines)
        if len(section.log10p) != size:
            raise UserError(f"{path}: {len(section.log10p)} {n}-grams, where the head says {size}")
        tables.append(section.unigrams() if n == 1 else section.table(tables, len(ids)))
    ordinary = [unescape(word) for word in list(ids)[len(SPECIALS) :]]
    [(token, count)] = Counter(ordinary).most_common(1) or [("", 0)]
    if count > 1:
        raise UserError(f"{path}: {count} words of it are the token {token!r}")
    return NgramModel(len(ids), tuple(tables)), [*SPECIALS, *ordinary]


def _sizes(path: Path, lines: Lines) -> list[int]:
    """What the head says, up to the head of the unigrams, which is read too."""
    sizes: list[int] = []
    for number, line in lines:
        if line.startswith("\\") and line != "\\data\\":
            if line != "\\1-grams:" or not sizes:
                raise UserError(f"{path}:{number}: found {line!r} where \\1-grams: should begin")
            return sizes
        if line.startswith("ngram "):
            order, _, size = line.removeprefix("ngram ").partition("=")
            counted = size.strip().isdecimal() and len(size.strip()) <= DIGITS
            if not counted or order.strip() != str(len(sizes) + 1):
                raise UserError(f"{path}:{number}: should be `ngram {len(sizes) + 1}=COUNT`, found {line!r}")
            sizes.append(int(size))
    raise UserError(f"{path}: no ARPA file: it has no \\1-grams:")


class _Section:
    """The n-grams of one order while they are read; unigrams number the words in `ids`."""

    def __init__(self, path: Path, order: int, last: bool, ids: dict[str, int]) -> None:
        self.path, self.order, self.ids = path, order, ids
        self.end = "\\end\\" if last else f"\\{order + 1}-grams:"
        self.numbers: list[int] = []
        """Of the lines."""
        self.grams: list[list[int]] = []
        self.log10p: list[float] = []
        self.backoff: list[float] = []
        self.last = last

    def read(self, lines: Lines) -> None:
        """Read up to the head of the next section, or the end of the file, which is read too."""
        for number, line in lines:
            if line == self.end:
                return
            if line.strip():
                self._add(number, line)
        raise UserError(f"{self.path}: ends among the {self.order}-grams; {self.end} is missing")

    def _add(self, number: int, line: str) -> None:
        p, *words = line.strip(" \t").replace("\t", " ").split(" ")
        try:
            log10p, backoff = float(p), float(words[self.order]) if len(words) > self.order else 0.0
            if self.order == 1:
                unescape(words[0])
                self.ids.setdefault(words[0], len(self.ids))
            gram = [self.ids[word] for word in words[: self.order]]
        except (ValueError, OverflowError, LookupError) as error:
            raise UserError(f"{self.path}:{number}: not a {self.order}-gram of known words ({error})") from None
        right = log10p <= 0 and math.isfinite(backoff)
        if not self.order <= len(words) <= self.order + 1 - self.last or not right:
            raise UserError(f"{self.path}:{number}: not a {self.order}-gram with its log10 probability: {line!r}")
        self.numbers.append(number)
        self.grams.append(gram)
        self.log10p.append(-np.inf if log10p == NEVER else log10p)
        self.backoff.append(backoff)

    def unigrams(self) -> Table:
        """A table with every id; what is not there has no probability, the unknown token apart."""
        ids = np.array(self.grams, dtype=np.int64).reshape(-1)
        self._each_once(ids, np.argsort(ids, kind="stable"))
        log10p, backoff = np.full(len(self.ids), -np.inf, np.float32), np.zeros(len(self.ids), np.float32)
        log10p[UNK] = UNKNOWN
        log10p[ids], backoff[ids] = self.log10p, self.backoff
        log10p[[PAD, BOS]] = -np.inf
        return Table(np.arange(len(self.ids)), log10p, backoff[:0] if self.last else backoff)

    def table(self, below: Sequence[Table], vocabulary: int) -> Table:
        """The sorted table of an order above the first."""
        grams = np.array(self.grams, dtype=np.int64).reshape(-1, self.order)
        prefixes = grams[:, 0]
        for n, table in enumerate(below[1:], start=1):
            prefixes = table.find(prefixes * vocabulary + grams[:, n])
        missing = np.flatnonzero(prefixes < 0)
        if len(missing):
            line = self.numbers[missing[0]]
            raise UserError(f"{self.path}:{line}: its first {self.order - 1} words are no n-gram of this file")
        keys = prefixes * vocabulary + grams[:, -1]
        order = np.argsort(keys, kind="stable")
        self._each_once(keys, order)
        values: list[NDArray[np.float32]] = [
            np.array(column, dtype=np.float32)[order] for column in (self.log10p, self.backoff)
        ]
        return Table(keys[order], values[0], values[1][:0] if self.last else values[1])

    def _each_once(self, keys: Ints, order: Ints) -> None:
        """`UserError` for an n-gram that stands twice; `order` sorts the `keys` of all."""
        again = np.flatnonzero(np.diff(keys[order]) == 0)
        if len(again):
            line = self.numbers[order[again[0] + 1]]
            raise UserError(f"{self.path}:{line}: a {self.order}-gram that was there before")
