"""What the training loop needs of a language model: batches, loss, validation."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unroll.kinds.language_model.network import LanguageModel, Reading
from unroll.kinds.language_model.settings import LanguageModelBatches, LanguageModelSettings
from unroll.kinds.language_model.spelling import Spelled, spelled_tokens
from unroll.nn.losses import Loss, cross_entropy
from unroll.nn.recurrent import StackState
from unroll.text.batches import Segment, make_batch, row_batches, stream_segments
from unroll.text.encoded import EncodedDataset, EncodedSplit
from unroll.text.specials import EOS, PAD

# Fixed, so that the validation loss does not depend on the batch size: a stream's parts and its steps.
VALID_LANES, VALID_STEPS, VALID_ROWS = 16, 128, 64


class Piece(NamedTuple):
    """What one loss is computed from."""

    segment: Segment
    """Inputs on the device, targets and mask on the CPU: what is to be known of them is known without waiting."""
    lengths_B: Tensor | None
    """Of rows that are run to their real length; on the CPU."""
    spelled: Spelled | None
    """The open ids of the segment (unit hybrid)."""


class Task:
    """A language model on a dataset with the field `text`."""

    fields = ("text",)

    def __init__(
        self,
        model: LanguageModelSettings,
        batches: LanguageModelBatches,
        data: EncodedDataset,
        device: torch.device,
    ) -> None:
        self.settings = batches
        self.data = data
        self.device = device
        self.progress = 0.0
        field = data.manifest["fields"]["text"]
        self.network = LanguageModel(model, field["size"], field.get("characters", 0)).to(device)

    def epoch_steps(self) -> int:
        """Batches of an epoch."""
        train = self.data.train
        if self.settings.bptt is None:
            return math.ceil(len(train) / self.settings.batch_size)
        tokens = len(train.fields["text"].ids)
        width = math.ceil(tokens / min(self.settings.batch_size, tokens))
        return math.ceil(width / self.settings.bptt)

    def batches(self, order: np.random.Generator) -> Iterator[Piece]:
        """One epoch: the stream from its start, or all texts in a new order."""
        train = self.data.epoch(order)
        if self.settings.context == "stream":
            assert self.settings.bptt is not None
            pieces = None if self.settings.sampling is None else self.epoch_steps()
            yield from self._stream(train, self.settings.batch_size, self.settings.bptt, pieces)
        else:
            yield from self._texts(train, self.settings.batch_size, order)

    def valid_batches(self) -> Iterator[Piece]:
        """The validation split in a fixed order."""
        if self.settings.context == "stream":
            yield from self._stream(self.data.valid, VALID_LANES, VALID_STEPS)
        else:
            yield from self._texts(self.data.valid, VALID_ROWS, None)

    def loss(self, piece: Piece, carry: StackState | None) -> tuple[Loss, StackState | None]:
        """The loss of one piece and the state that the next one starts from (truncated backpropagation)."""
        segment, lengths_B, spelled = piece
        reading = self.network(segment.inputs, carry, lengths_B, spelled)
        read_ND, targets_N = reading.read_BTD.flatten(0, 1), segment.targets.flatten()
        if segment.mask is not None:
            real = segment.mask.flatten().nonzero().squeeze(1)
            read_ND, targets_N = read_ND[real.to(self.device, non_blocking=True)], targets_N[real]
        wanted = (self.settings.label_smoothing, self.settings.sampled_softmax) if self.network.training else ()
        loss = self.network.output.loss(read_ND, self.network.closed(targets_N), *wanted)
        if spelled is not None:
            loss = loss._replace(nats=loss.nats + self._spelling_nats(read_ND, targets_N, spelled))
        if self.network.training and (self.settings.activation_penalty or self.settings.change_penalty):
            loss = loss._replace(extra=loss.extra + self._penalties(reading, segment.mask))
        if self.settings.context == "text":
            return loss, None
        return loss, tuple(tuple(s.detach() for s in layer) for layer in reading.state)

    def _spelling_nats(self, read_ND: Tensor, targets_N: Tensor, spelled: Spelled) -> Tensor | float:
        """What the characters of the spelled targets and their ends cost, summed."""
        found = self.network.written(read_ND, targets_N, spelled)
        if found is None:
            return 0.0
        assert self.network.spelling is not None
        _, written = found
        return cross_entropy(self.network.spelling.output(written.read_MH), written.targets_M).nats

    def _penalties(self, reading: Reading, mask_BT: Tensor | None) -> Tensor:
        """α Σ mean(h²) + β Σ mean((h_t - h_(t-1))²) over real positions, means over units; Merity et al. (2018)."""
        squares_BT = reading.dropped_BTO.pow(2).mean(-1)
        changes_BT = reading.top_BTO.diff(dim=1).pow(2).mean(-1)
        if mask_BT is not None:
            mask_BT = mask_BT.to(self.device, non_blocking=True)
            squares_BT, changes_BT = squares_BT * mask_BT, changes_BT * mask_BT[:, 1:]
        return self.settings.activation_penalty * squares_BT.sum() + self.settings.change_penalty * changes_BT.sum()

    def _stream(self, split: EncodedSplit, lanes: int, steps: int, pieces: int | None = None) -> Iterator[Piece]:
        for segment in stream_segments(split.fields["text"].ids, lanes, steps, pieces):
            yield self._piece(segment, None)

    def _texts(self, split: EncodedSplit, size: int, order: np.random.Generator | None) -> Iterator[Piece]:
        for rows in row_batches(split, size, order):
            batch = make_batch(split, rows)
            targets = batch.ids["text"]
            inputs = torch.cat([torch.full_like(targets[:, :1], EOS), targets[:, :-1]], dim=1)
            inputs = inputs.masked_fill(~batch.mask("text"), PAD)
            lengths = batch.lengths["text"] if self.settings.padding == "pack" else None
            yield self._piece(Segment(inputs, targets, batch.mask("text")), lengths)

    def _piece(self, segment: Segment, lengths_B: Tensor | None) -> Piece:
        spelled = None
        if self.network.spelling is not None:
            spell = self.data.spellings["text"].of
            spelled = spelled_tokens([segment.inputs, segment.targets], self.network.vocabulary, spell)
        inputs = segment.inputs.to(self.device, non_blocking=True)
        return Piece(replace(segment, inputs=inputs), lengths_B, spelled)
