"""What texts share with other texts that are read only once and may be large."""

from collections.abc import Iterable, Sequence


class SharedSpan:
    """The longest run of words that given texts share with any text read, and their words that none of those has.

    A suffix automaton (Blumer et al., 1985) of the given texts, which are few, reads the others word by word: time
    grows with what is read, memory with what is given alone, and no hashing can err.
    """

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        self._next: list[dict[str | None, int]] = [{}]
        self._link = [-1]
        self._length = [0]
        self._end = [0]  # where in `_words` a state's words end for the first time
        self._words: list[str | None] = []
        self._longest = (0, 0)  # length and end
        last = 0
        for text in texts:
            for word in [*text, None]:  # None ends a text: no word read is like it
                last = self._extend(last, word)
        self.unseen = {word for word in self._words if word is not None}

    @property
    def span(self) -> list[str]:
        """The longest shared run so far; of equally long ones the one found first."""
        length, end = self._longest
        return [word for word in self._words[end - length : end] if word is not None]

    def read(self, words: Iterable[str]) -> None:
        """Take notice of one text; runs do not go on into the next."""
        state = length = 0
        for word in words:
            if word not in self._next[0]:
                state = length = 0
                continue
            self.unseen.discard(word)
            while word not in self._next[state]:
                state = self._link[state]
                length = self._length[state]
            state = self._next[state][word]
            length += 1
            if length > self._longest[0]:
                self._longest = (length, self._end[state])

    def _extend(self, last: int, word: str | None) -> int:
        """Add a word behind the state `last` of all words before; return the state of all with it."""
        self._words.append(word)
        new = self._state({}, self._length[last] + 1, 0, len(self._words))
        state = last
        while state >= 0 and word not in self._next[state]:
            self._next[state][word] = new
            state = self._link[state]
        if state < 0:
            return new
        target = self._next[state][word]
        if self._length[target] == self._length[state] + 1:
            self._link[new] = target
            return new
        # Some runs that lead to `target` now end in a second place: they get a state of their own.
        clone = self._state(dict(self._next[target]), self._length[state] + 1, self._link[target], self._end[target])
        while state >= 0 and self._next[state].get(word) == target:
            self._next[state][word] = clone
            state = self._link[state]
        self._link[target] = self._link[new] = clone
        return new

    def _state(self, following: dict[str | None, int], length: int, link: int, end: int) -> int:
        self._next.append(following)
        self._length.append(length)
        self._link.append(link)
        self._end.append(end)
        return len(self._next) - 1
