"""What fitting needs of an n-gram model: the models of each order, and what they make of the text."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unroll.engine import LOCAL, Engine
from unroll.kinds.ngram.counts import Context, Tokens, count_orders, read_tokens
from unroll.kinds.ngram.estimate import FALLBACK, estimate
from unroll.kinds.ngram.model import NgramModel
from unroll.kinds.ngram.predictor import weights_of
from unroll.kinds.ngram.settings import NgramSettings, NgramTraining
from unroll.text.encoded import EncodedDataset, EncodedSplit


@dataclass(frozen=True)
class Stage:
    """An n-gram model of some order; losses are in nats per token."""

    weights: dict[str, Tensor]
    train_loss: float
    valid_loss: float
    tokens: int
    """Tokens that it was estimated from."""
    remarks: tuple[str, ...]
    """What a person should know of it."""


class Task:
    """An n-gram model on a dataset with the field `text`."""

    fields = ("text",)

    def __init__(self, model: NgramSettings, train: NgramTraining, data: EncodedDataset, device: torch.device) -> None:
        """`device` is not used: counting is done on the CPU."""
        self.order = model.order
        self.vocabulary: int = data.manifest["fields"]["text"]["size"]
        self.train, self.valid = (read_split(split, train.context) for split in (data.train, data.valid))

    @property
    def steps(self) -> int:
        """How many stages there are."""
        return self.order

    def stages(self, engine: Engine = LOCAL) -> Iterator[Stage]:
        """The models of order 1, 2, ... up to the one asked for, each smoothed for itself; `engine` counts."""
        for model in estimate(count_orders(self.train, self.order, self.vocabulary, engine), self.vocabulary):
            yield Stage(
                weights=weights_of(model),
                train_loss=_mean_nats(model, self.train),
                valid_loss=_mean_nats(model, self.valid),
                tokens=self.train.predicted,
                remarks=tuple(
                    f"the counts of {n}-grams define no discounts; {', '.join(map(str, FALLBACK))} are used"
                    for n in model.fallbacks
                ),
            )


def read_split(split: EncodedSplit, context: Context) -> Tokens:
    """The tokens of a split: of a stream all, of single texts what `max_length` has kept."""
    field = split.fields["text"]
    if context == "stream":
        return read_tokens(field.ids, field.lengths, context)
    sizes = np.diff(field.offsets)
    place = np.arange(len(field.ids)) - np.repeat(field.offsets[:-1], sizes)
    kept = place < np.repeat(field.lengths, sizes)
    return read_tokens(field.ids[kept], field.lengths.astype(np.int64), context)


def _mean_nats(model: NgramModel, tokens: Tokens) -> float:
    return float(model.nats(tokens).sum()) / tokens.predicted
