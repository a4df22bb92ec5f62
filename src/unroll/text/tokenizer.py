"""From text to word tokens and back, for any Unicode text.

Between two tokens stands one space. A joiner, the mark of OpenNMT's tokenizer, says on one of two neighbours that
there is none: `a (b)` is `a`, `(￭`, `b`, `￭)`. Any other white space is a token of its own, a run of the same
character each, with nothing added on either side: `a:\\n    b` is `a`, `￭:`, `\\n`, four spaces, `b`. A joiner
in the text itself is escaped, so that `join` always gives back what was split.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Literal

TokenizerName = Literal["joiner", "whitespace"]

JOINER, ESCAPE = "￭", "￮"
_ESCAPED_ESCAPE, _ESCAPED_JOINER = ESCAPE + "0", ESCAPE + "1"

# What is between the ordinary spaces, and white space that is anything but one space between two words.
_CHUNKS: Callable[[str], list[str]] = re.compile(r"\S+|\s{2,}|[^\S ]|^ | \Z").findall
_RUNS = re.compile(r"(.)\1*", re.DOTALL)


class Tokenizer:
    """`whitespace` keeps what stands between white space whole; `joiner` parts words from every other character."""

    def __init__(self, name: TokenizerName, lowercase: bool) -> None:
        self._parts = _words if name == "joiner" else None
        self._lowercase = lowercase
        self.invertible = not lowercase

    def folded(self, text: str) -> str:
        """`text` as it is split: lower-cased if that is asked for."""
        return text.lower() if self._lowercase else text

    @staticmethod
    def is_plain(folded: str) -> bool:
        """Whether a text, `folded`, has no white space but single spaces between words, whose chunks the words are."""
        # All other white space is not printable.
        return folded.isprintable() and "  " not in folded and folded[:1] not in ("", " ") and folded[-1] != " "

    def chunks(self, text: str) -> list[str]:
        """The stretches of `text` that are split one by one; there are few distinct ones, so results can be kept."""
        return self.folded_chunks(self.folded(text))

    @classmethod
    def folded_chunks(cls, folded: str) -> list[str]:
        """The chunks of a text that has been folded."""
        return folded.split(" ") if cls.is_plain(folded) else _CHUNKS(folded)

    def tokens(self, chunk: str) -> list[str]:
        """The tokens of a chunk."""
        if chunk.isalnum():
            return [chunk]
        if chunk.isspace():
            return [run.group() for run in _RUNS.finditer(chunk)]
        return _joined(self._parts(chunk)) if self._parts else [_escape(chunk)]

    def keeps(self, character: str) -> bool:
        """Whether a chunk of such characters alone is a token as it is; not so of white space."""
        return character.isalnum() or not (self._parts or character.isspace() or character in ESCAPE + JOINER)

    def split(self, text: str) -> list[str]:
        """The tokens of `text`."""
        return list(chain.from_iterable(map(self.tokens, self.chunks(text))))

    def join(self, tokens: Iterable[str]) -> str:
        """The text of any tokens; `join(split(text))` is `text`, lower-cased if the tokenizer does that."""
        text: list[str] = []
        open_end = True  # whether the next token follows without a space
        for token in tokens:
            space = token.isspace()
            if not (open_end or space or token.startswith(JOINER)):
                text.append(" ")
            text.append(token if space else surface(token))
            open_end = space or token.endswith(JOINER)
        return "".join(text)


def surface(token: str) -> str:
    """What a token stands for in the text, without its joiners."""
    bare = token.strip(JOINER)
    return bare.replace(_ESCAPED_JOINER, JOINER).replace(_ESCAPED_ESCAPE, ESCAPE) if ESCAPE in bare else bare


def _escape(part: str) -> str:
    if ESCAPE in part or JOINER in part:
        return part.replace(ESCAPE, _ESCAPED_ESCAPE).replace(JOINER, _ESCAPED_JOINER)
    return part


def _words(chunk: str) -> list[str]:
    """Words (letters, digits, _ and the marks that combine with them) and single other characters."""
    return _word_pattern().findall(chunk)


@cache
def _word_pattern() -> re.Pattern[str]:
    # Python's \w lacks combining marks, without which Hindi words, or decomposed accents, would fall apart.
    codes = chain(range(0x300, 0x20000), range(0xE0100, 0xE01F0))
    marks = "".join(c for c in map(chr, codes) if unicodedata.category(c).startswith("M"))
    return re.compile(rf"\w+(?:(?=[^\x00-\u02ff])[{marks}]\w*)*|\W")


def _joined(parts: Sequence[str]) -> list[str]:
    """`parts` that stood side by side, with joiners: on the right part, or on the left where the right is a word."""
    tokens = [_escape(parts[0])]
    for part in parts[1:]:
        if is_word(part):
            tokens[-1] += JOINER
            tokens.append(_escape(part))
        else:
            tokens.append(JOINER + _escape(part))
    return tokens


def is_word(part: str) -> bool:
    """Whether a part, or a token, is a word and no white space, punctuation mark or joiner."""
    return part[0].isalnum() or part[0] == "_"
