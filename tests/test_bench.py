"""The benchmarks run, and what holds on every machine holds."""

import json
import time
from functools import partial

import pytest

from bench import measure


def test_contenders_are_compared_with_the_first_of_them():
    wait = {"slow": partial(time.sleep, 0.004), "quick": partial(time.sleep, 0.001)}
    taken = measure.alternate(wait, turns=3, least=0.004)
    assert taken["slow"].ratio == 1
    assert taken["slow"].seconds >= 0.004
    assert taken["quick"].low <= taken["quick"].ratio <= taken["quick"].high
    assert taken["quick"].ratio > 1


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_growth_is_the_power_of_the_size(power):
    assert measure.exponent([1, 4, 16], [3 * size**power for size in (1, 4, 16)]) == pytest.approx(power)


def _fill(megabytes: int) -> object:
    import numpy as np

    return lambda: np.ones(megabytes << 17)


def test_the_peak_is_what_a_call_adds():
    assert measure.peak_bytes(partial(_fill, 64)) == pytest.approx(64 << 20, rel=0.1)


def test_a_report_has_a_row_per_contender(tmp_path):
    report = measure.Report("sums", "Which is faster?", threads=1, quick=True)
    report.race({"n": 9}, {"a": lambda: sum(range(99)), "b": lambda: 45}, 9, "numbers", bytes={"b": 7})
    report.facts["power"] = 1.0
    report.finish(tmp_path / "sums.json")
    written = json.loads((tmp_path / "sums.json").read_text())
    assert [(row["n"], row["contender"], row["bytes"]) for row in written["rows"]] == [(9, "a", None), (9, "b", 7)]
    assert written["rows"][1]["numbers/s"] == pytest.approx(9 / written["rows"][1]["seconds"])
    assert written["machine"]["threads"] == 1
