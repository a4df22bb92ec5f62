"""The unit `syllable`: frequent words whole, other words in syllables, rare syllables in characters.

Mikolov, Sutskever, Deoras, Le, Kombrink and Cernocky (2012), "Subword language modeling with neural networks". A piece
that goes on within its token ends in `+`: `sta+`, `tion`. Syllables end where the Hunspell dictionaries of
Pyphen let a word be hyphenated; a hyphenation that would spell the word in another way (the former German
`Zuk-ker`) cuts it, too, and changes no letter. Tokens are those of the joiner tokenizer, so that every text without an
unknown character comes back as it was. A `+` of the text itself is escaped. Another version of Pyphen may cut a word
elsewhere: the text comes back all the same, from other ids.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import pyphen
from pydantic import AfterValidator, Field

from unroll.files import write_json
from unroll.mistakes import did_you_mean
from unroll.settings import Count, Settings
from unroll.stored import read_stored
from unroll.text.counting import CharacterCounts
from unroll.text.shards import Texts
from unroll.text.specials import SPECIALS, UNK
from unroll.text.tokenizer import ESCAPE, JOINER, Tokenizer, is_word
from unroll.text.units.remembered import KEPT_STRETCHES
from unroll.text.units.tokens import TokenVocabulary, count_tokens
from unroll.text.vocabulary import CODE_POINTS, StoredTokens, by_count

LONGEST_WORD = 1_000  # characters; what is longer is no word of any dictionary and has no syllables

_JOINT = "+"
_ESCAPED_JOINT = ESCAPE + "2"  # the tokenizer's own escapes are 0 and 1
_ALWAYS = {" ", JOINER, ESCAPE, "0", "1"}  # with these, any text of known characters has tokens that can be spelled


def _with_dictionary(language: str) -> str:
    if language not in pyphen.LANGUAGES:
        hint = did_you_mean(language.replace("-", "_"), sorted(pyphen.LANGUAGES))
        raise ValueError(f"there is no hyphenation dictionary {language!r}{hint}")
    return language


Language = Annotated[str, AfterValidator(_with_dictionary)]


class SyllableSettings(Settings):
    """Words, syllables and characters of the training split."""

    unit: Literal["syllable"]
    max_words: int = Field(ge=0, le=10**12)
    """Words and punctuation marks kept whole, the most frequent."""
    max_syllables: int = Field(ge=0, le=10**12)
    """Syllables of all other words kept, the most frequent; there are fewer if the text has not as many."""
    language: Language
    """Whose words are hyphenated: a dictionary of Pyphen, such as en_US or de."""
    min_count: Count = 1
    """Characters seen less often are unknown."""


class StoredSyllables(StoredTokens):
    """What `save` writes."""

    language: Language


class SyllableVocabulary(TokenVocabulary):
    """Words first, then syllables, then every known character, within a token (`x+`) and at its end (`x`).

    A word that is also some word's last syllable is one entry. Any other character is UNK, and its spelling is charged.
    """

    unit: ClassVar[str] = "syllable"

    def __init__(self, pieces: list[str], language: str) -> None:
        super().__init__(pieces, Tokenizer("joiner", lowercase=False))
        self._language = language
        self._hyphenation = pyphen.Pyphen(lang=language)
        self._goes_on = [piece.endswith(_JOINT) for piece in self._tokens]
        self._surfaces = [piece.removesuffix(_JOINT).replace(_ESCAPED_JOINT, _JOINT) for piece in self._tokens]
        single = [n for n, text in enumerate(self._surfaces) if len(text) == 1]
        self._inside = {self._surfaces[n]: n for n in single if self._goes_on[n]}
        self._last = {self._surfaces[n]: n for n in single if not self._goes_on[n]}

    @classmethod
    def build(cls, texts: Texts, settings: SyllableSettings) -> Self:
        """A word or syllable with an unknown character is never kept."""
        seen = CharacterCounts()
        counts = count_tokens(texts, Tokenizer("joiner", lowercase=False), seen)
        known = seen.at_least(settings.min_count).keys() | _ALWAYS
        spellable = (token for token, _ in counts.ranked() if known.issuperset(token))
        words = dict.fromkeys(islice(spellable, settings.max_words))
        whole = [_written(word) for word in words]
        spelled = [_written(c, joint) for joint in (_JOINT, "") for c in by_count({c: seen[c] for c in known})]
        rest = ((token, count) for token, count in counts if token not in words)
        syllables = _count_syllables(rest, pyphen.Pyphen(lang=settings.language), known)
        others = syllables.keys() - {*whole, *spelled}
        ranked = by_count({piece: syllables[piece] for piece in others})
        pieces = [*whole, *ranked[: settings.max_syllables], *spelled]
        return cls(list(dict.fromkeys(pieces)), settings.language)  # a word may be one character

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        stored = read_stored(folder / f"{stem}.json", StoredSyllables)
        return cls(stored.entries, stored.language)

    def save(self, folder: Path, stem: str) -> None:
        stored = {"unit": self.unit, "language": self._language, "tokens": self._tokens}
        write_json(folder / f"{stem}.json", stored)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._tokens[len(SPECIALS) :], self._language)

    def token_ids(self, token: str) -> list[int]:
        whole = self._ids.get(_written(token))
        if whole is not None:
            return [whole]
        ids: list[int] = []
        for syllable, joint in _syllables(token, self._hyphenation):
            known = self._ids.get(_written(syllable, joint))
            ids += [known] if known is not None else self._spelled(syllable, joint)
        return ids

    def _spelled(self, syllable: str, joint: str) -> list[int]:
        last = self._inside if joint else self._last
        return [*(self._inside.get(c, UNK) for c in syllable[:-1]), last.get(syllable[-1], UNK)]

    def decode(self, ids: Iterable[int]) -> str:
        return self._tokenizer.join(self._whole(ids))

    def _whole(self, ids: Iterable[int]) -> Iterator[str]:
        """Tokens put together from pieces; an unknown character ends its token, since it does not say."""
        parts: list[str] = []
        for n in ids:
            if n < len(SPECIALS) and n != UNK:
                continue
            parts.append(self._surfaces[n])
            if not self._goes_on[n]:
                yield "".join(parts)
                parts.clear()
        if parts:
            yield "".join(parts)

    def unknown_tokens(self, text: str) -> list[str]:
        return [c for c in text if c not in self._inside]

    def unknown_nats(self, text: str) -> float:
        """An unknown character is any code point that is not known, within a token or at its end, each as likely."""
        return len(self.unknown_tokens(text)) * math.log(2 * (CODE_POINTS - len(self._inside)))


def _count_syllables(words: Iterable[tuple[str, int]], hyphenation: pyphen.Pyphen, known: set[str]) -> Counter[str]:
    """How often each syllable, as it is written, occurs in `words`, those with unknown characters left out."""
    syllables: Counter[str] = Counter()
    for word, count in words:
        for syllable, joint in _syllables(word, hyphenation):
            if known.issuperset(syllable):
                syllables[_written(syllable, joint)] += count
    return syllables


def _written(piece: str, joint: str = "") -> str:
    """A piece as the vocabulary names it."""
    return (piece.replace(_JOINT, _ESCAPED_JOINT) if _JOINT in piece else piece) + joint


def _syllables(token: str, hyphenation: pyphen.Pyphen) -> Iterator[tuple[str, str]]:
    """The syllables of a token, each with what it ends in; all but words have one."""
    start = 0
    if is_word(token) and len(token) <= LONGEST_WORD:
        if len(hyphenation.hd.cache) > KEPT_STRETCHES:  # it keeps every word for ever
            hyphenation.hd.cache.clear()
        for end in hyphenation.positions(token):
            yield token[start:end], _JOINT
            start = end
    yield token[start:], ""
