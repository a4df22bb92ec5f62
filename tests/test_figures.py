"""Figures: that they are drawn, and drawn the same."""

import io
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from unroll.evaluation.bucket_figure import scores_by_bucket
from unroll.evaluation.buckets import Bucket
from unroll.evaluation.figures import DPI, alignment, learning_curve, length_histogram, read_history

HISTORY = """step,epoch,lr,train_loss,valid_loss,grad_norm,clipped
50,1,0.001,3.5,,1.0,0
100,1,0.001,3.0,2.9,1.0,0
100,1,0.001,,2.8,,
"""


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_a_history_is_read_without_its_empty_cells(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    losses = {"train": [(50, 3.5), (100, 3.0)], "valid": [(100, 2.9), (100, 2.8)]}
    assert read_history(path) == losses
    head, *rows = HISTORY.splitlines()
    scored = [f"{head},valid_bleu", *(f"{row},{score}" for row, score in zip(rows, ["", "7.5", ""], strict=True))]
    path.write_text("\n".join(scored) + "\n")
    assert read_history(path) == {**losses, "bleu": [(100, 7.5)]}


@pytest.mark.parametrize("scale", ["perplexity", "bits"])
@pytest.mark.parametrize(
    "curves",
    [
        {"train": [(50, 3.5), (100, 3.0)], "valid": [(100, 2.9)]},
        {"train": [(1, 9.0)], "valid": []},
        {"train": [], "valid": [(1, 1000.0), (2, 1.0)]},
    ],
)
def test_a_learning_curve_is_the_same_under_any_style(curves, scale):
    image = learning_curve(curves, scale)
    assert imread(io.BytesIO(image)).shape[:2] == (4 * DPI, 7 * DPI)
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30, "savefig.dpi": 30}):
        assert learning_curve(curves, scale) == image
    assert b"Software" not in image
    assert b"tIME" not in image


def test_the_scale_is_the_one_asked_for():
    curves = {"train": [(1, 3.0), (2, 2.0)], "valid": []}
    assert learning_curve(curves, "bits") != learning_curve(curves, "perplexity")


@pytest.mark.parametrize("score", ["bleu", "rougeL"])
def test_the_score_of_validation_is_drawn_below_the_losses(score):
    losses = {"train": [(50, 3.5), (100, 3.0)], "valid": [(100, 2.9), (200, 3.1)]}
    images = [learning_curve({**losses, score: [(100, low), (200, 30.0)]}, "perplexity") for low in (1.0, 1.0, 9.0)]
    assert imread(io.BytesIO(images[0])).shape[:2] == (6 * DPI, 7 * DPI)
    assert images[0] == images[1] != images[2]


@pytest.mark.parametrize(
    "lengths",
    [{"text (char)": [1, 5, 5, 900, 12]}, {"source (word)": [3, 2], "target (word)": [70]}, {"text (word)": [1]}],
)
def test_lengths_are_drawn_with_the_limit(lengths):
    lengths = {label: np.array(values) for label, values in lengths.items()}
    image = length_histogram(lengths, 100)
    assert imread(io.BytesIO(image)).shape[1] == 7 * DPI
    assert length_histogram(lengths, 100) == image
    assert length_histogram(lengths, 10) != image


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (["the", "old", "$x$", "</s>"], ["größe", "Ärztin", "_"]),
        (["猫", "</s>"], ["x"]),
        (["a", "⏎"], ["$\\frac$"]),
    ],
)
def test_attention_is_drawn_with_any_tokens(source, target):
    weights = np.full((len(target), len(source)), 1 / len(source))
    image = alignment(weights, source, target)
    assert imread(io.BytesIO(image)).ndim == 3
    assert alignment(weights, source, target) == image


def test_scores_of_buckets_are_drawn_with_their_intervals():
    figures = {"bleu": 30.0, "chrf": 50.0}
    group = [Bucket("0-5", 1200, figures, (28.0, 32.0)), Bucket("over_320", 3, {"chrf": 20.0}, None)]
    image = scores_by_bucket({"words": group, "unknown": group[1:]}, {"bleu": "BLEU", "chrf": "chrF"})
    assert imread(io.BytesIO(image)).shape[1] == 9 * DPI
    assert scores_by_bucket({"words": group, "unknown": group[1:]}, {"bleu": "BLEU", "chrf": "chrF"}) == image
    without = [Bucket("0-5", 1200, figures, None), group[1]]
    assert scores_by_bucket({"words": without, "unknown": group[1:]}, {"bleu": "BLEU", "chrf": "chrF"}) != image


def test_umlauts_and_joiners_are_drawn_as_such():
    weights = np.ones((1, 1))
    images = {alignment(weights, ["x"], [token]) for token in ("a", "ä", "ö", "ß", ".", "￭.", "￮.")}
    assert len(images) == 7
