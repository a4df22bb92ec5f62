"""bench/scale.py: what docs/scale.md predicts follows from its constants, and the constants are of the real stages."""

import json
import math

import pytest

from bench import scale


def test_what_is_exchanged():
    assert scale.exchanged(1_000, 1) == 0
    assert scale.exchanged(1_000, 2) == 4_000  # each sends half of its gradients twice
    assert scale.exchanged(1_000, 4) == 6_000


def test_operations_and_weights_by_hand():
    network = scale.Network(hidden=10, layers=2, vocabulary=100)
    assert network.core == 2 * 4 * 10 * (10 + 10)
    assert network.parameters == 1_600 + 1_000
    assert network.flops == 6 * 2_600


def test_an_epoch_by_hand():
    text, network = scale.Text("a", 0, 0, tokens=scale.BATCH * 80), scale.Network(10, 1, 100)
    alone = scale.training(text, network, 1, flops_per_second=1e6, bandwidth=1.0)
    assert alone == pytest.approx(scale.BATCH * 80 * network.flops / 1e6)
    sent = scale.exchanged(network.parameters, 8)
    many = scale.training(text, network, 8, flops_per_second=1e6, bandwidth=sent)  # a second for each of ten updates
    assert many == pytest.approx(alone / 8 + 10)


def test_growth_is_told_by_its_exponent():
    small = {"seconds": 1.0, "memory": 5.0, "size": 10.0}
    found = scale.summary(small, {"seconds": 8.0, "memory": 25.0, "size": 20.0, "tokens": 7.0})
    expected = {"bytes_per_second": 2.5, "exponent": math.log(8) / math.log(2), "memory_bytes": 25.0}
    assert found == pytest.approx({**expected, "memory_per_byte": 2.0, "tokens": 7.0})


@pytest.mark.parametrize(("seconds", "told"), [(7.4, "7 s"), (300, "5.0 min"), (7_200, "2.0 h"), (2e6, "23.1 days")])
def test_times_are_told_in_their_unit(seconds, told):
    assert scale.told(seconds) == told


def test_the_stages_run_one_after_another(tmp_path):
    scale.write_text(tmp_path / "files", 60_000)
    assert 60_000 <= (tmp_path / "files" / "train.txt").stat().st_size < 160_000
    for stage in ("fetch", "vocab", "encode", "ngram"):
        found = scale.STAGES[stage](tmp_path)() or {}
    assert found["tokens"] > 10_000


def test_measured_gradients_are_four_bytes_a_weight():
    """And the formula has all weights but biases."""
    train = json.loads(scale.RESULTS.read_text())["stages"]["train"]
    assert train["gradient_bytes"] == 4 * train["weights"]
    assert train["weights_by_formula"] == pytest.approx(train["weights"], rel=0.01)
