"""How words that no vocabulary has are spelled: an interpolated character n-gram model.

Witten and Bell (1991), "The zero-frequency problem": after a context h that was followed n(h) times by t(h) distinct
symbols, p(c | h) = (n(h, c) + t(h) p(c | h')) / (n(h) + t(h)), where h' is h without its first symbol. Symbols are
the known characters, the end of the word, and an escape for every other character, all of which are as likely.
"""

import math
from collections import Counter
from collections.abc import Iterable

from unroll.text.vocabulary import CODE_POINTS

ORDER = 5
# Lone surrogates occur in no text, so they can stand for symbols that are no characters.
START, END, UNSEEN = "\ud800", "\ud801", "\ud802"


class SpellingModel:
    """A probability for every string, learned from `words`, each counted once as often as it is given."""

    def __init__(self, words: Iterable[str], characters: Iterable[str] = ()) -> None:
        self._follows: Counter[str] = Counter()  # by context and symbol
        self._total: Counter[str] = Counter()  # by context
        self._distinct: Counter[str] = Counter()  # by context
        self._known = set(characters)
        for word in words:
            self._known.update(word)
            padded = START * (ORDER - 1) + word + END
            for end in range(ORDER - 1, len(padded)):
                self._follows.update(padded[start : end + 1] for start in range(end - ORDER + 1, end + 1))
        for gram, count in self._follows.items():
            self._total[gram[:-1]] += count
            self._distinct[gram[:-1]] += 1
        self._unseen = CODE_POINTS - len(self._known)

    def probability(self, symbol: str, context: str) -> float:
        """Of a known character, END or UNSEEN after `context`, whose last ORDER - 1 symbols count."""
        p = 1 / (len(self._known) + 2)
        for length in range(ORDER):
            h = context[len(context) - length :]
            distinct = self._distinct.get(h)
            if distinct is None:
                break
            p = (self._follows.get(h + symbol, 0) + distinct * p) / (self._total[h] + distinct)
        return p

    def nats(self, word: str) -> float:
        """What spelling `word` and its end costs."""
        context, cost = START * (ORDER - 1), 0.0
        for character in [*word, END]:
            if character in self._known or character == END:
                cost -= math.log(self.probability(character, context))
            else:
                cost += math.log(self._unseen) - math.log(self.probability(UNSEEN, context))
            context = context[1:] + character
        return cost
