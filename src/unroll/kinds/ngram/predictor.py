"""A finished n-gram model: scoring and generating text.

T tokens, V vocabulary.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unroll.kinds.bundle import Bundle
from unroll.kinds.generation import Generator, Sampling, TextScore, draw
from unroll.kinds.ngram.counts import Context, read_tokens
from unroll.kinds.ngram.model import NgramModel, Table
from unroll.text.specials import BOS, EOS
from unroll.text.vocabulary import Vocabulary


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
        if not texts:
            return []
        ids, lengths = self.vocabulary.encode_many(texts)
        lengths_with_end = lengths + 1
        tokens = read_tokens(np.insert(ids, np.cumsum(lengths), EOS), lengths_with_end, self.context)
        nats = self.model.nats(tokens)[tokens.before > 0]
        sums = np.add.reduceat(nats, np.cumsum(lengths_with_end) - lengths_with_end)
        return list(map(TextScore, sums.tolist(), lengths_with_end.tolist()))

    def sample(
        self, prompt: NDArray[np.int64], max_tokens: int, sampling: Sampling, random: np.random.Generator
    ) -> Iterator[int]:
        """Token after token behind `prompt`, until the text ends or has `max_tokens` new ones."""
        text = [EOS if self.context == "stream" else BOS, *prompt.tolist()]
        for _ in range(max_tokens):
            token = draw(self.model.distribution(np.array(text[-self.model.order :])) * math.log(10), sampling, random)
            if token == EOS:
                return
            yield token
            text.append(token)


def weights_of(model: NgramModel) -> dict[str, Tensor]:
    """The arrays of a model by name, as a bundle holds them."""
    return {
        f"{n}.{name}": torch.from_numpy(array)
        for n, table in enumerate(model.tables, start=1)
        for name, array in vars(table).items()
    }


def model_of(weights: Mapping[str, Tensor], vocabulary: int) -> NgramModel:
    """The model whose arrays are `weights`."""
    arrays = {name: tensor.numpy() for name, tensor in weights.items()}
    orders = range(1, len(arrays) // 3 + 1)
    tables = (Table(*(arrays[f"{n}.{name}"] for name in ("keys", "log10p", "backoff"))) for n in orders)
    return NgramModel(vocabulary, tuple(tables))


def load(bundle: Bundle, device: torch.device) -> NgramPredictor:
    """The predictor of a bundle whose kind is `ngram`; it works on the CPU whatever the `device`."""
    vocabulary = bundle.vocabularies["text"]
    model = model_of(bundle.weights, len(vocabulary))
    return NgramPredictor(model, vocabulary, bundle.info["settings"]["train"]["context"])
