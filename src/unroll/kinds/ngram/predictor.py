"""A finished n-gram model: scoring and generating text.

T tokens, V vocabulary.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unroll.files import damaged
from unroll.kinds.bundle import WEIGHTS, Bundle
from unroll.kinds.generation import Generator, Sampling, TextScore, draw
from unroll.kinds.ngram.counts import Context, read_tokens
from unroll.kinds.ngram.model import NgramModel, Table
from unroll.text.specials import BOS, EOS, UNK
from unroll.text.vocabulary import Vocabulary

ARRAYS = ("keys", "log10p", "backoff")  # of a table
ROUNDING = 1e-3  # of a logarithm of one, in single precision
NOTHING = -1  # in place of a token before a text


class NgramPredictor(Generator):
    """Scores and generates text; with `context` "text" a text scores the same in any company."""

    task = "language_model"

    def __init__(self, model: NgramModel, vocabulary: Vocabulary, context: Context) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.context = context

    def score(self, texts: Sequence[str]) -> list[TextScore]:
        """One score a text, in order.

        With `context` "text" each text starts afresh; with "stream" it is read after the one before it.
        """
        return [TextScore(float(nats.sum()), len(nats)) for nats in self.token_nats(texts)]

    def token_nats(self, texts: Sequence[str]) -> list[NDArray[np.float64]]:
        """-log p (T,) of every token of each text and of its end; texts follow one another as in `score`."""
        if not texts:
            return []
        ids, lengths = self.vocabulary.encode_many(texts)
        lengths_with_end = lengths + 1
        tokens = read_tokens(np.insert(ids, np.cumsum(lengths), EOS), lengths_with_end, self.context)
        nats = self.model.nats(tokens)[tokens.before > 0]
        return np.split(nats, np.cumsum(lengths_with_end)[:-1])

    def begin(self, rows: int) -> Tensor:
        """The state before the first token of so many texts: the tokens that a step looks back on, none yet."""
        return torch.full((rows, self.model.order), NOTHING)

    def advance(self, ids_N: Tensor, state_NO: Tensor) -> tuple[Tensor, Tensor]:
        """log p (N, V) of the next token of texts that grow side by side, and the next state.

        `ids_N` are the tokens before, BOS at the start; ids beyond the vocabulary are read as unknown.
        """
        device, ids_N = ids_N.device, ids_N.cpu()
        ids_N = ids_N.masked_fill(ids_N >= len(self.vocabulary), UNK)
        if self.context == "stream":
            ids_N = ids_N.masked_fill(ids_N == BOS, EOS)
        state_NO = torch.cat([state_NO.cpu()[:, 1:], ids_N.unsqueeze(1)], dim=1)
        before = [row[row != NOTHING] for row in state_NO.numpy()]
        logp_NV = np.stack([self.model.distribution(context) for context in before]) * math.log(10)
        return torch.from_numpy(logp_NV), state_NO.to(device)

    def sample(
        self, prompt: NDArray[np.int64], max_tokens: int, sampling: Sampling, random: np.random.Generator
    ) -> Iterator[int]:
        """Token after token behind `prompt`, `max_tokens` at most; a text ends, a stream goes on."""
        text = [EOS if self.context == "stream" else BOS, *prompt.tolist()]
        for _ in range(max_tokens):
            token = draw(self.model.distribution(np.array(text[-self.model.order :])) * math.log(10), sampling, random)
            if token == EOS and self.context == "text":
                return
            yield token
            text.append(token)


def weights_of(model: NgramModel) -> dict[str, Tensor]:
    """The arrays of a model by name, as a bundle holds them."""
    return {
        f"{n}.{name}": torch.from_numpy(np.require(array, requirements="W"))  # what a cluster gave cannot be written
        for n, table in enumerate(model.tables, start=1)
        for name, array in vars(table).items()
    }


def model_of(weights: Mapping[str, Tensor], vocabulary: int) -> NgramModel:
    """The model whose arrays are `weights`."""
    arrays = {name: tensor.numpy() for name, tensor in weights.items()}
    orders = range(1, len(arrays) // len(ARRAYS) + 1)
    tables = (Table(*(arrays[f"{n}.{name}"] for name in ARRAYS)) for n in orders)
    return NgramModel(vocabulary, tuple(tables))


def _mistake(weights: Mapping[str, Tensor], vocabulary: int) -> str | None:
    """What keeps `weights` from being those of a model over so many ids."""
    orders = range(1, len(weights) // len(ARRAYS) + 1)
    if not orders or weights.keys() != {f"{n}.{name}" for n in orders for name in ARRAYS}:
        return f"should have {', '.join(ARRAYS)} of each order, found {', '.join(sorted(weights)[:9])}"
    below = 1
    for n in orders:
        keys, log10p, backoff = (weights[f"{n}.{name}"] for name in ARRAYS)
        size = len(keys) if keys.ndim == 1 else -1
        backs_off = 0 if n == len(orders) else size
        if (keys.dtype, log10p.dtype, backoff.dtype) != (torch.int64, torch.float32, torch.float32):
            return f"the arrays of order {n} are of other types than int64, float32 and float32"
        if log10p.shape != (size,) or backoff.shape != (backs_off,) or (n == 1 and size != vocabulary):
            return f"the arrays of order {n} are not as long as its n-grams are many"
        if size and not (keys[0] >= 0 and keys[-1] < below * vocabulary and (keys.diff() > 0).all()):
            return f"the n-grams of order {n} are not those of {vocabulary} tokens in order"
        if (log10p > ROUNDING).any() or log10p.isnan().any() or not backoff.isfinite().all():
            return f"order {n} has probabilities that are none"
        below = size
    return None


def load(bundle: Bundle, device: torch.device) -> NgramPredictor:
    """The predictor of a bundle whose kind is `ngram`; it works on the CPU whatever the `device`."""
    vocabulary = bundle.vocabulary("text")
    if found := _mistake(bundle.weights, len(vocabulary)):
        raise damaged(bundle.folder / WEIGHTS, found)
    model = model_of(bundle.weights, len(vocabulary))
    return NgramPredictor(model, vocabulary, bundle.info["settings"]["train"]["context"])
