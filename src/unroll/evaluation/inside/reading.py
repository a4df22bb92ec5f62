"""Spans of test text, and the state that a network has when it comes to each.

B spans side by side, T time.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unroll.evaluation.predictors import LanguageModel, RecurrentLanguageModel
from unroll.kinds.language_model.spelling import Spelled
from unroll.nn.recurrent import StackState
from unroll.text.batches import pad_rows
from unroll.text.specials import EOS

SIDE_BY_SIDE = 32  # spans: bounds memory

Row = NDArray[np.int64]
"""Ids that are read from the zero state on: a text and its end, or a stream of them."""


class Span(NamedTuple):
    """Places of a row, from `start` up to but not including `end`."""

    row: int
    start: int
    end: int


class SpanBatch(NamedTuple):
    """Spans padded to the longest."""

    inputs_BT: Tensor
    targets_BT: Tensor
    lengths_B: Tensor
    state: StackState
    """In front of each span, carried on from the start of its row."""
    spelled: Spelled | None = None
    """The tokens of unit hybrid that are read by their characters."""


def read_rows(model: LanguageModel, texts: Sequence[str], limit: int) -> list[Row]:
    """The first `limit` tokens of `texts` with their ends, as the model reads them: as one stream, or apart."""
    rows: list[Row] = []
    for text in texts:
        if limit <= 0:
            break
        rows.append(np.append(model.vocabulary.encode(text), EOS)[:limit])
        limit -= len(rows[-1])
    return rows if model.context == "text" else [np.concatenate(rows)]


def inputs_of(row: Row) -> Row:
    """What is read when the tokens of `row` are predicted, the end of a text in front of the first."""
    return np.append(EOS, row[:-1])


def pieces(rows: Sequence[Row], length: int) -> list[Span]:
    """All of `rows`, in spans of at most `length`."""
    return [
        Span(n, start, min(start + length, len(row)))
        for n, row in enumerate(rows)
        for start in range(0, len(row), length)
    ]


def spans_before(rows: Sequence[Row], count: int, length: int) -> list[Span]:
    """Spans of at most `length` that end at `count` places, spread evenly over `rows` (at all of them if so few)."""
    ends = np.cumsum([len(row) for row in rows])
    total = int(ends[-1])
    count = min(count, total)
    spans = []
    for place in ((np.arange(count) + 1) * total // count - 1).tolist():
        n = int(np.searchsorted(ends, place, side="right"))
        end = place + 1 - int(ends[n] - len(rows[n]))
        spans.append(Span(n, max(0, end - length), end))
    return spans


def span_batches(model: RecurrentLanguageModel, rows: Sequence[Row], spans: Sequence[Span]) -> Iterator[SpanBatch]:
    """`spans`, in the order of the text, in batches; each row is read once, as far as the last of its spans."""
    inputs = [inputs_of(row) for row in rows]
    carried = _states(model, inputs, spans)
    for first in range(0, len(spans), SIDE_BY_SIDE):
        chosen = spans[first : first + SIDE_BY_SIDE]
        inputs_BT, lengths_B = pad_rows([inputs[n][start:end] for n, start, end in chosen])
        targets_BT, _ = pad_rows([rows[n][start:end] for n, start, end in chosen])
        states = [next(carried) for _ in chosen]
        state = tuple(tuple(map(torch.cat, zip(*layer, strict=True))) for layer in zip(*states, strict=True))
        device, spelled = model.device, model.spelled(inputs_BT)
        yield SpanBatch(inputs_BT.to(device), targets_BT.to(device), lengths_B.to(device), state, spelled)


def _states(model: RecurrentLanguageModel, inputs: Sequence[Row], spans: Sequence[Span]) -> Iterator[StackState]:
    """The state, of one row each, in front of each span."""
    network = model.network
    row, place, state = -1, 0, network.start(1)
    for span in spans:
        if span.row != row:
            row, place, state = span.row, 0, network.start(1)
        if span.start > place:
            ids_1T = torch.from_numpy(inputs[row][place : span.start]).unsqueeze(0)
            with torch.no_grad():
                state = network(ids_1T.to(model.device), state, spelled=model.spelled(ids_1T)).state
            place = span.start
        yield state
