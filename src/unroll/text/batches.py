"""Batches: rows padded to their longest, and contiguous streams cut into segments.

B batch, T time. The batch is the only carrier of lengths and masks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unroll.text.encoded import EncodedSplit
from unroll.text.specials import EOS, PAD

POOL = 64  # batches whose rows are sorted by length together


@dataclass(frozen=True)
class Batch:
    """Padded ids (B, T) of each field, with the real length of each row (B,), lengths on the CPU."""

    ids: Mapping[str, Tensor]
    lengths: Mapping[str, Tensor]

    def mask(self, field: str) -> Tensor:
        """True (B, T) at real positions."""
        ids_BT = self.ids[field]
        t_1T = torch.arange(ids_BT.shape[1], device=ids_BT.device).unsqueeze(0)
        return t_1T < self.lengths[field].to(ids_BT.device, non_blocking=True).unsqueeze(1)

    def places(self, field: str) -> Tensor:
        """Where `mask` is true, in the ids flattened: found on the CPU, so that no device is waited for."""
        ids_BT = self.ids[field]
        real_BT = torch.arange(ids_BT.shape[1]) < self.lengths[field].unsqueeze(1)
        return real_BT.flatten().nonzero().squeeze(1).to(ids_BT.device, non_blocking=True)

    def to(self, device: torch.device) -> "Batch":
        """The same batch with its ids on `device`."""
        return Batch({name: ids.to(device, non_blocking=True) for name, ids in self.ids.items()}, self.lengths)


def pad_rows(rows: list[NDArray[np.int64]]) -> tuple[Tensor, Tensor]:
    """Ids (B, T) padded with PAD to the longest row, and the lengths (B,)."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    ids = np.full((len(rows), int(lengths.max(initial=0))), PAD, dtype=np.int64)
    for n, row in enumerate(rows):
        ids[n, : len(row)] = row
    return torch.from_numpy(ids), torch.from_numpy(lengths)


def make_batch(split: EncodedSplit, rows: NDArray[np.int64]) -> Batch:
    """The named rows of every field."""
    padded = {name: pad_rows([field.row(int(row)) for row in rows]) for name, field in split.fields.items()}
    return Batch({name: ids for name, (ids, _) in padded.items()}, {name: n for name, (_, n) in padded.items()})


def by_length(split: EncodedSplit) -> NDArray[np.int64]:
    """Rows ordered by the lengths of their fields, the last field first; ties by row."""
    return np.lexsort([field.lengths for field in split.fields.values()])


def row_batches(
    split: EncodedSplit, size: int, order: np.random.Generator | None = None
) -> Iterator[NDArray[np.int64]]:
    """Row numbers in batches of `size` rows of similar length, every row once.

    With `order` rows are drawn into pools of `POOL` batches, sorted by length inside a pool, and the batches
    come shuffled; without, batches run from the shortest rows to the longest.
    """
    ranks = np.empty(len(split), dtype=np.int64)
    ranks[by_length(split)] = np.arange(len(split))
    if order is None:
        yield from _cut(np.argsort(ranks), size)
        return
    shuffled = order.permutation(len(split))
    for pool in _cut(shuffled, POOL * size):
        batches = _cut(pool[np.argsort(ranks[pool])], size)
        for n in order.permutation(len(batches)):
            yield batches[n]


def _cut(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


class TokenBatches:
    """Row numbers in batches that are as large as `budget` allows, every row once; `len` says how many batches.

    A batch is as large as its field with most padded positions: rows times the longest of all their fields, ends
    included, is at most `budget`, but a row that is longer makes a batch of its own. Rows are sorted by their longest
    field, so every epoch has batches of the same sizes, however rows of equal lengths are ordered, and their number
    is known before the first.
    """

    def __init__(self, split: EncodedSplit, budget: int) -> None:
        fields = [field.lengths for field in split.fields.values()]
        self._keys = [*fields, np.max(fields, axis=0)]
        self._starts = _starts(np.sort(self._keys[-1]).astype(np.int64), budget)

    def __len__(self) -> int:
        return len(self._starts)

    def rows(self, order: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """One epoch: rows of equal lengths in a new order, then the batches shuffled."""
        drawn = order.permutation(len(self._keys[-1]))
        batches = np.split(np.lexsort([drawn, *self._keys]), self._starts[1:])
        for n in order.permutation(len(batches)):
            yield batches[n]


def _starts(lengths: NDArray[np.int64], budget: int) -> list[int]:
    """Where batches of at most `budget` padded positions begin in rows sorted by their `lengths` (N,)."""
    starts = []
    start = 0
    while start < len(lengths):
        starts.append(start)
        ahead = lengths[start : start + budget // int(lengths[start])]
        sizes = np.arange(1, len(ahead) + 1) * ahead
        start += max(1, int(np.searchsorted(sizes, budget, side="right")))
    return starts


@dataclass(frozen=True)
class Segment:
    """Consecutive steps of `lanes` parallel parts of one stream.

    `inputs` (B, T) are the tokens before `targets` (B, T); the last lane may end before the others, and there
    `mask` (B, T) is false. `mask` is None where every position is real.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor | None


def stream_segments(ids: NDArray[np.integer], lanes: int, steps: int, pieces: int | None = None) -> Iterator[Segment]:
    """All of a stream, cut into `lanes` equal consecutive parts and walked through `steps` positions at a time.

    With `pieces` a part is walked through in so many about equal segments instead, or in single steps if it has fewer.

    The token before the first is EOS: a text begins where another has ended. Nothing is dropped: the last lane
    is padded at its end, and masked there.
    """
    lanes = min(lanes, len(ids))
    width = -(-len(ids) // lanes)
    starts = np.arange(lanes) * width
    if pieces is None:
        bounds = [*range(0, width, steps), width]
    else:
        pieces = min(pieces, width)
        bounds = [width * n // pieces for n in range(pieces + 1)]
    for first, end in pairwise(bounds):
        reach = end - first
        targets = np.full((lanes, reach), PAD, dtype=np.int64)
        inputs = np.full((lanes, reach), PAD, dtype=np.int64)
        lengths = np.clip(len(ids) - starts - first, 0, reach)
        for lane, (start, length) in enumerate(zip(starts + first, lengths, strict=True)):
            targets[lane, :length] = ids[start : start + length]
            before = ids[start - 1 : start - 1 + length] if start else np.append(EOS, ids[: length - 1])
            inputs[lane, :length] = before[:length]
        full = bool((lengths == reach).all())
        mask = None if full else torch.from_numpy(np.arange(reach)[None, :] < lengths[:, None])
        yield Segment(torch.from_numpy(inputs), torch.from_numpy(targets), mask)
