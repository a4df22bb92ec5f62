"""Training over processes: what several do is what one does. Two real ones, over gloo."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from builders import image_dataset, pair_dataset, text_dataset
from hypothesis import given
from hypothesis import strategies as st
from members import CASES, STEPS, STOP, go_on, running, train
from test_accumulate import TEXTS

from unroll.text.batches import WHOLE, Part, dealt, stream_segments
from unroll.training.parallel import Group

SIZE = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two processes have left what came out of them."""
    folder = tmp_path_factory.mktemp("processes")
    text_dataset(folder / "text", TEXTS, {"unit": "char"})
    pair_dataset(folder / "pairs", [(text, text[::-1]) for text in TEXTS])
    image_dataset(folder / "images", scenes=20)
    go_on(folder / "one to two", Group(), STOP)
    with running(SIZE, folder):
        pass
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(SIZE)]


def assert_close(found, expected):
    (weights, rows), (weights_of_one, rows_of_one) = found, expected
    for name, weight in weights_of_one.items():
        near = {"rtol": 1e-4, "atol": 1e-6} if weight.dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-12}
        torch.testing.assert_close(weights[name], weight, **near)
    assert len(rows) == len(rows_of_one)
    for row, row_of_one in zip(rows, rows_of_one, strict=True):
        assert {name: float(cell) for name, cell in row.items() if cell} == pytest.approx(
            {name: float(cell) for name, cell in row_of_one.items() if cell}, rel=1e-5
        )


@pytest.mark.parametrize("case", CASES)
def test_two_processes_do_what_one_does(folder, found, case):
    expected = train(case, folder, Group())
    assert_close(found[0]["cases"][case], expected)
    (first, rows), (second, same_rows) = (each["cases"][case] for each in found)
    assert all(torch.equal(first[name], second[name]) for name in first) and rows == same_rows


def test_the_same_number_of_processes_goes_on_to_the_same_bits_with_dropout(found):
    for each in found:
        (whole, rows), (in_two, rows_in_two) = each["whole"], each["in two"]
        assert all(torch.equal(whole[name], in_two[name]) for name in whole) and rows == rows_in_two


def test_another_number_of_processes_goes_on_where_the_others_stopped(tmp_path, folder, found):
    (tmp_path / "text").symlink_to(folder / "text")
    expected = go_on(tmp_path / "whole", Group(), STEPS)
    assert_close(found[0]["one to two"], expected)
    assert_close(go_on(folder / "two to one", Group(), STEPS), expected)


def test_each_process_draws_random_numbers_of_its_own(found):
    first, second = found[0]["random"]
    assert not torch.equal(first, second)


def test_what_is_given_to_exchanges_is_what_docs_scale_says(folder, found):
    """An update: gradients, the loss in float64, and 8 bytes for each of four numbers and each parameter tensor."""
    weights, rows = train("stream", folder, Group())
    numbers = sum(weight.nbytes for weight in weights.values())
    an_update = numbers + 8 + 8 * (4 + len(weights))
    steps = int(rows[-1]["step"])
    rest = found[0]["given"] - steps * an_update
    validations = sum(bool(row["valid_loss"]) for row in rows)
    at_the_start = numbers + 16 * SIZE + 2_000 * (len(weights) + 5)  # weights, and who has a checkpoint
    assert validations * 8 * 3 < rest < validations * 8 * 3 + at_the_start


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 5))
def test_rows_are_dealt_whole_and_evenly(tokens, size):
    rows, tokens = np.arange(len(tokens)) + 7, np.array(tokens)
    parts = [dealt(rows, tokens, Part(number, size)) for number in range(size)]
    assert sorted(np.concatenate(parts).tolist()) == rows.tolist()
    sums = [int(tokens[part - 7].sum()) for part in parts]
    assert max(sums) - min(sums) <= tokens.max()
    assert dealt(rows, tokens, WHOLE) is rows


@given(st.integers(1, 60), st.integers(1, 7), st.integers(1, 9), st.integers(1, 4))
def test_lanes_of_all_parts_are_those_of_the_stream(length, lanes, steps, size):
    ids = np.arange(10, 10 + length)
    parts = [list(stream_segments(ids, lanes, steps, part=Part(number, size))) for number in range(size)]
    for whole, *some in zip(stream_segments(ids, lanes, steps), *parts, strict=True):
        assert torch.equal(whole.targets, torch.cat([segment.targets for segment in some]))
        assert torch.equal(whole.inputs, torch.cat([segment.inputs for segment in some]))
        masks = [torch.ones_like(one.targets, dtype=torch.bool) if one.mask is None else one.mask for one in some]
        assert torch.equal(whole.targets >= 10, torch.cat(masks))


def test_one_process_does_not_import_what_several_need():
    code = (
        "import sys, unroll.training.run, unroll.training.launch; assert 'unroll.training.processes' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
