"""Batches hold every row once, streams every token once."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import pair_dataset
from hypothesis import given
from hypothesis import strategies as st

from unroll.text.batches import TokenBatches, make_batch, pad_rows, row_batches, stream_segments
from unroll.text.encoded import EncodedField, EncodedSplit
from unroll.text.specials import EOS, PAD


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    random = np.random.default_rng(1)
    lengths = random.integers(1, 30, size=(400, 2))
    pairs = [(" ".join("a" * n), " ".join("b" * m)) for n, m in lengths]
    return pair_dataset(tmp_path_factory.mktemp("pairs"), pairs).train


def test_padding_by_hand():
    ids, lengths = pad_rows([np.array([5, 6, 3]), np.array([7])])
    assert ids.tolist() == [[5, 6, 3], [7, PAD, PAD]]
    assert lengths.tolist() == [3, 1]


def test_a_batch_knows_its_lengths_and_mask(train):
    batch = make_batch(train, np.array([0, 5, 7]))
    for field in ("source", "target"):
        assert (batch.mask(field) == (batch.ids[field] != PAD)).all()
        assert batch.mask(field).sum(1).tolist() == batch.lengths[field].tolist()
        assert batch.ids[field].shape[1] == int(batch.lengths[field].max())


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize("shuffled", [False, True])
def test_every_row_comes_once(train, size, shuffled):
    order = np.random.default_rng(3) if shuffled else None
    batches = list(row_batches(train, size, order))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(train)))
    assert all(len(rows) <= size for rows in batches)


def test_rows_of_similar_length_come_together(train):
    def padding(batches):
        lengths = [train.fields["target"].lengths[rows] for rows in batches]
        return sum(int((n.max() - n).sum()) for n in lengths)

    shuffled = list(row_batches(train, 16, np.random.default_rng(3)))
    unsorted = np.array_split(np.random.default_rng(3).permutation(len(train)), len(shuffled))
    assert padding(shuffled) < 0.25 * padding(unsorted)


def test_the_order_is_that_of_the_seed(train):
    first, same, other = (
        [rows.tolist() for rows in row_batches(train, 16, np.random.default_rng(seed))] for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def split_of(*lengths: list[int]) -> EncodedSplit:
    """Rows of which nothing but the lengths of their fields is known."""
    fields = {f"field{n}": EncodedField(np.empty(0), np.empty(0), np.array(of)) for n, of in enumerate(lengths)}
    return EncodedSplit(fields, Path())


def test_batches_counted_in_tokens_by_hand():
    split = split_of([1, 9, 3, 2, 3], [2, 1, 3, 2, 1])  # longest fields: 2, 9, 3, 2, 3
    batches = TokenBatches(split, 6)
    assert len(batches) == 3  # [0, 3] of 2 tokens, [2, 4] of 3, and [1], whose 9 are too many
    for seed in range(5):
        rows = [sorted(batch.tolist()) for batch in batches.rows(np.random.default_rng(seed))]
        assert sorted(rows) == [[0, 3], [1], [2, 4]]


@given(
    pairs=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=60),
    budget=st.integers(1, 40),
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=3),
)
def test_batches_counted_in_tokens_hold_every_row_once_and_keep_the_budget(pairs, budget, seeds):
    lengths = np.array(pairs)
    batches = TokenBatches(split_of(*lengths.T.tolist()), budget)
    sizes = set()
    for seed in seeds:
        epoch = list(batches.rows(np.random.default_rng(seed)))
        assert len(epoch) == len(batches)
        assert sorted(np.concatenate(epoch).tolist()) == list(range(len(pairs)))
        padded = [len(rows) * lengths[rows].max() for rows in epoch]
        assert all(size <= budget or len(rows) == 1 for size, rows in zip(padded, epoch, strict=True))
        sizes.add(tuple(sorted(len(rows) for rows in epoch)))
        # None is smaller than it must be: no batch would take the shortest row of the next.
        ordered = sorted(epoch, key=lambda rows: (lengths[rows].max(1).min(), lengths[rows].max(), -len(rows)))
        for rows, after in pairwise(ordered):
            assert (len(rows) + 1) * lengths[after].max(1).min() > budget
    assert len(sizes) == 1


def test_batches_counted_in_tokens_pad_little_and_are_drawn_anew_each_epoch(train):
    batches = TokenBatches(train, 200)
    first, same, other = ([rows.tolist() for rows in batches.rows(np.random.default_rng(seed))] for seed in (1, 1, 2))
    assert first == same
    assert first != other
    assert sorted(map(sorted, first)) != sorted(map(sorted, other))
    lengths = np.stack([field.lengths for field in train.fields.values()])
    padded = sum(len(rows) * int(lengths[:, rows].max()) for rows in first)
    assert padded < 1.1 * lengths.max(0).sum()


@given(count=st.integers(1, 60), lanes=st.integers(1, 9), steps=st.integers(1, 9))
def test_a_stream_drops_nothing_and_every_target_follows_its_input(count, lanes, steps):
    ids = np.arange(10, 10 + count, dtype=np.uint16)
    before = {int(token): int(token) - 1 for token in ids} | {10: EOS}
    seen = []
    rows: dict[int, list[int]] = {}
    for segment in stream_segments(ids, lanes, steps):
        assert segment.inputs.shape == segment.targets.shape
        assert segment.inputs.shape[1] <= steps
        mask = torch.ones_like(segment.targets).bool() if segment.mask is None else segment.mask
        for lane, (inputs, targets, real) in enumerate(zip(segment.inputs, segment.targets, mask, strict=True)):
            for token, target in zip(inputs[real].tolist(), targets[real].tolist(), strict=True):
                assert token == before[target]
                seen.append(target)
                rows.setdefault(lane, []).append(target)
            assert (targets[~real] == PAD).all()
    assert sorted(seen) == ids.tolist()
    for lane in rows.values():
        assert lane == list(range(lane[0], lane[0] + len(lane)))
