"""What the training loop needs of an encoder-decoder: batches, loss, validation."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from unroll.kinds.seq2seq.network import Seq2Seq
from unroll.kinds.seq2seq.predictor import PairPredictor
from unroll.kinds.seq2seq.settings import DecodeSettings, Seq2SeqBatches, Seq2SeqSettings
from unroll.nn.losses import Loss
from unroll.text.batches import WHOLE, Batch, TokenBatches, dealt, make_batch, row_batches
from unroll.text.encoded import EncodedDataset, EncodedSplit
from unroll.text.vocabulary import Vocabulary

VALID_ROWS = 64


class Task:
    """An encoder-decoder on a dataset with the fields `source` and `target`."""

    fields = ("source", "target")

    def __init__(
        self, model: Seq2SeqSettings, batches: Seq2SeqBatches, data: EncodedDataset, device: torch.device
    ) -> None:
        self.settings = batches
        self.data = data
        self.device = device
        self.progress = 0.0
        self.part = WHOLE
        self.token_batches = None if batches.batch_tokens is None else TokenBatches(data.train, batches.batch_tokens)
        source, target = (data.manifest["fields"][name] for name in self.fields)
        shared = source["vocabulary"] == target["vocabulary"]
        ends = source["sentence_ends"] if model.sentences else ()
        self.network = Seq2Seq(model, source["size"], target["size"], shared, ends).to(device)

    def epoch_steps(self) -> int:
        """Batches of an epoch."""
        if self.token_batches is not None:
            return len(self.token_batches)
        assert self.settings.batch_size is not None
        return math.ceil(len(self.data.train) / self.settings.batch_size)

    def batches(self, order: np.random.Generator) -> Iterator[Batch | None]:
        """One epoch: every pair once, pairs of similar length together, in a new order."""
        train = self.data.epoch(order)
        for rows in self._rows(train, order):
            tokens = np.sum([field.lengths[rows] for field in train.fields.values()], axis=0)
            mine = dealt(rows, tokens, self.part)
            yield make_batch(train, mine).to(self.device) if len(mine) else None

    def _rows(self, train: EncodedSplit, order: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        if self.token_batches is not None:
            return self.token_batches.rows(order)
        assert self.settings.batch_size is not None
        return row_batches(train, self.settings.batch_size, order)

    def valid_batches(self) -> Iterator[Batch]:
        """The validation split in a fixed order."""
        for rows in islice(row_batches(self.data.valid, VALID_ROWS), self.part.number, None, self.part.of):
            yield make_batch(self.data.valid, rows).to(self.device)

    def decode(self, sources: Sequence[str], vocabularies: Mapping[str, Vocabulary]) -> list[str]:
        """What a greedy search makes of `sources` with the network as it is, which it puts into evaluation mode."""
        source, target = (vocabularies[name] for name in self.fields)
        predictor = PairPredictor(self.network, source, target, self.data.manifest["max_length"], self.device)
        return [hypothesis.text for hypothesis in predictor.decode(sources, DecodeSettings(beam=1))]

    def loss(self, batch: Batch, carry: None) -> tuple[Loss, None]:
        """-log p(target | source) with the right tokens before each position (teacher forcing).

        In training with `scheduled_sampling` some of these are the model's own, more as training goes on.
        """
        packed = self.settings.padding == "pack"
        memory, state = self.network.encode(batch.ids["source"], batch.lengths["source"], batch.mask("source"), packed)
        targets = batch.ids["target"]
        own = self.settings.scheduled_sampling * self.progress if self.network.training else 0.0
        read_BTD, _, weights_BTS = self.network.force(targets, memory, state, own)
        wanted = (self.settings.label_smoothing, self.settings.coverage_loss) if self.network.training else ()
        real_N = batch.places("target")
        loss = self.network.output.loss(read_BTD, weights_BTS, memory.source, targets, real_N, *wanted)
        return loss, carry
