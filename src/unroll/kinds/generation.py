"""Writing text with any language model: how a token is drawn, and text as it comes.

V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unroll.text.specials import BOS, EOS, PAD, UNK
from unroll.text.vocabulary import Vocabulary

NEVER = (PAD, UNK, BOS)  # drawn
HALF = "\N{REPLACEMENT CHARACTER}"  # how the bytes of an unfinished character are shown


class TextScore(NamedTuple):
    """Negative log-likelihood of one text in nats, over its tokens and its end."""

    nats: float
    tokens: int


class Sampling(NamedTuple):
    """How a token is drawn."""

    temperature: float = 1.0
    """Logits are divided by it."""
    top_k: int | None = None
    """Only the likeliest `top_k` tokens; Fan et al. (2018)."""
    top_p: float | None = None
    """Only the likeliest tokens that together have this share of what `top_k` leaves; Holtzman et al. (2020)."""


def draw(
    logits_V: NDArray[np.float64], sampling: Sampling, random: np.random.Generator, never: Sequence[int] = NEVER
) -> int:
    """A token, none of `never`, by inverting the distribution function of what may be drawn."""
    logits_V = logits_V / sampling.temperature
    logits_V[list(never)] = -np.inf
    p_V = np.exp(logits_V - logits_V.max())
    if sampling.top_k is not None or sampling.top_p is not None:
        kept = np.argsort(-p_V, kind="stable")[: sampling.top_k]
        if sampling.top_p is not None:
            mass = p_V[kept].cumsum()
            kept = kept[: np.searchsorted(mass, sampling.top_p * mass[-1]) + 1]
        allowed_V = np.zeros_like(p_V)
        allowed_V[kept] = p_V[kept]
        p_V = allowed_V
    cumulative_V = p_V.cumsum()
    return int(np.searchsorted(cumulative_V, random.random() * cumulative_V[-1], side="right"))


class Generator(ABC):
    """What every language model can do that can say which token comes next."""

    vocabulary: Vocabulary
    context: Literal["stream", "text"]

    @abstractmethod
    def sample(
        self, prompt: NDArray[np.int64], max_tokens: int, sampling: Sampling, random: np.random.Generator
    ) -> Iterator[int]:
        """Token after token behind `prompt`, `max_tokens` at most.

        Where texts were learned alone EOS is the end, and not given; in a stream it is given as any other token is, and
        the next text follows.
        """

    def generate(self, prompts: Sequence[str], *, max_tokens: int, sampling: Sampling, seed: int) -> list[str]:
        """Each prompt with its continuation; that depends on its prompt, its place among them and the seed alone."""
        return [
            prompt + "".join(self.stream(prompt, max_tokens, sampling, (seed, place)))
            for place, prompt in enumerate(prompts)
        ]

    def stream(self, prompt: str, max_tokens: int, sampling: Sampling, seed: tuple[int, int]) -> Iterator[str]:
        """The continuation of `prompt` in pieces, each as soon as no later token can change it.

        In a stream a text follows the other, in a new line.
        """
        lines = [self.vocabulary.encode(line) for line in self.lines(prompt)]
        ids = np.concatenate([part for line in lines for part in (line, [EOS])][:-1]).astype(np.int64)
        pieces = _Pieces(self.vocabulary, lines[-1].tolist())
        for token in self.sample(ids, max_tokens, sampling, np.random.default_rng(seed)):
            if token == EOS:
                yield pieces.rest() + "\n"
                pieces = _Pieces(self.vocabulary, [])
            elif piece := pieces.add(token):
                yield piece
        if rest := pieces.rest():
            yield rest

    def lines(self, prompt: str) -> list[str]:
        """What of `prompt` is a text of its own: a line, in a stream where no text has the end of a line inside."""
        texts_are_lines = self.context == "stream" and self.vocabulary.unknown_tokens("\n")
        return prompt.split("\n") if texts_are_lines else [prompt]


class _Pieces:
    """A text whose tokens come one after the other."""

    def __init__(self, vocabulary: Vocabulary, tokens: list[int]) -> None:
        """`tokens` are there already, and their text is not given."""
        self.vocabulary, self.tokens = vocabulary, tokens
        self.before, self.shown = 0, len(tokens)  # what is shown is told from what is new by the tokens before it

    def add(self, token: int) -> str:
        """What is sure of the text once `token` is there; empty while it may still change."""
        self.tokens.append(token)
        new = self.rest()
        if not new or new.endswith(HALF):
            return ""
        self.before, self.shown = self.shown, len(self.tokens)
        return new

    def rest(self) -> str:
        """All text that has not been given, whatever could still come."""
        old = self.vocabulary.decode(self.tokens[self.before : self.shown])
        text = self.vocabulary.decode(self.tokens[self.before :])
        return text[len(old) :] if text.startswith(old) else ""
