"""Several language models as one: the weighted mean of their probabilities, token by token.

T tokens, V vocabulary, M models.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unroll.errors import UserError
from unroll.kinds.combination.predictor import NextToken, same
from unroll.kinds.generation import Generator, Sampling, TextScore, draw
from unroll.text.specials import BOS, EOS


class Member(NextToken, Protocol):
    """A language model that tells what each token costs it."""

    context: Literal["stream", "text"]

    def token_nats(self, texts: Sequence[str]) -> Sequence[NDArray[np.float64]]:
        """-log p (T,) of every token of each text and of its end."""


class MixedLanguageModel(Generator):
    """p = Σ_m w_m p_m, linear interpolation (Jelinek and Mercer, 1980); the models share vocabulary and context."""

    task = "language_model"

    def __init__(self, members: Sequence[Member], weights: Sequence[float]) -> None:
        """`weights` are divided by their sum. Raises `UserError` if vocabularies or contexts differ."""
        first = members[0]
        self.members, self.vocabulary, self.context = members, first.vocabulary, first.context
        self.log_weights = np.log(np.array(weights) / sum(weights))
        for member in members[1:]:
            if not same(member.vocabulary, first.vocabulary):
                raise UserError("the runs of a combination have different vocabularies; they need one dataset")
            if member.context != first.context:
                raise UserError(
                    f"the runs of a combination read different contexts, {first.context} and {member.context}"
                )

    def score(self, texts: Sequence[str]) -> list[TextScore]:
        """One score a text, in order."""
        columns = zip(*(member.token_nats(texts) for member in self.members), strict=True)
        return [TextScore(-float(self._mean(-np.stack(nats)).sum()), len(nats[0])) for nats in columns]

    def _mean(self, logp_MX: NDArray[np.float64]) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = np.logaddexp.reduce(logp_MX + self.log_weights[:, None], axis=0)
        return mean

    def sample(
        self, prompt: NDArray[np.int64], max_tokens: int, sampling: Sampling, random: np.random.Generator
    ) -> Iterator[int]:
        """Token after token behind `prompt`, `max_tokens` at most; a text ends, a stream goes on."""
        states = [member.begin(1) for member in self.members]
        waiting = [BOS, *prompt.tolist()]
        for _ in range(max_tokens):
            for token in waiting:
                logp_MV, states = self._advance(torch.tensor([token]), states)
            token = draw(self._mean(logp_MV), sampling, random)
            if token == EOS and self.context == "text":
                return
            yield token
            waiting = [token]

    def _advance(self, ids_1: Tensor, states: list[object]) -> tuple[NDArray[np.float64], list[object]]:
        steps = [member.advance(ids_1, state) for member, state in zip(self.members, states, strict=True)]
        logp_MV: NDArray[np.float64] = np.stack([logp_1V[0].double().cpu().numpy() for logp_1V, _ in steps])
        return logp_MV, [state for _, state in steps]
