"""Resamples, intervals and p-values, against sacrebleu's and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import _bootstrap_resample

from unroll.evaluation.bootstrap import FEWEST, LEVEL, RESAMPLES, interval, p_value, resampled_sums
from unroll.evaluation.buckets import buckets
from unroll.evaluation.pairs import score_pairs
from unroll.evaluation.scores import figures, intervals, resampled

RANDOM = np.random.default_rng(1)
WORDS = np.array(["the", "a", "cat", "Dog", "sat", "ran", "on", "mat", ".", "x"])
REFERENCES = [" ".join(RANDOM.choice(WORDS, size)) for size in RANDOM.integers(4, 12, 40)]
HYPOTHESES = [" ".join(RANDOM.choice(WORDS) if RANDOM.random() < 0.3 else w for w in r.split()) for r in REFERENCES]


def test_resampled_scores_are_those_of_sacrebleu():
    statistics = score_pairs("bleu", HYPOTHESES, REFERENCES, "en").statistics
    found = resampled(["bleu", "bleu_lc", "chrf", "ter"], statistics)
    for key, metric in {"bleu": BLEU(), "bleu_lc": BLEU(lowercase=True), "chrf": CHRF(), "ter": TER()}.items():
        counts = metric._extract_corpus_statistics(HYPOTHESES, [REFERENCES])
        seed, scores = _bootstrap_resample(counts, metric, RESAMPLES)
        assert seed == "12345"
        assert found[key] == pytest.approx([score.score for score in scores])


def test_sums_are_over_as_many_texts_as_there_are():
    sums = resampled_sums(np.stack([np.ones(50), np.arange(50.0)], axis=1))
    assert sums.shape == (RESAMPLES, 2)
    assert (sums[:, 0] == 50).all()
    assert len(set(sums[:, 1])) > RESAMPLES / 5
    assert np.array_equal(sums, resampled_sums(np.stack([np.ones(50), np.arange(50.0)], axis=1)))


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(2).normal(10, 3, 400)
    low, high = intervals(["rouge1"], {"rouge1": values})["rouge1"]
    error = 1.96 * values.std() / math.sqrt(400)
    assert (low, high) == (
        pytest.approx(values.mean() - error, abs=error / 5),
        pytest.approx(values.mean() + error, abs=error / 5),
    )


def test_the_interval_leaves_the_same_share_out_at_both_ends():
    values = np.arange(RESAMPLES, dtype=np.float64)
    low, high = interval(values[::-1])
    assert (values < low).sum() == (values > high).sum() == 24


@given(st.integers(0, RESAMPLES), st.integers(0, RESAMPLES))
def test_a_difference_is_significant_just_where_its_interval_leaves_zero_out(below, equal):
    equal = min(equal, RESAMPLES - below)
    differences = np.repeat([-1.0, 0.0, 1.0], [below, equal, RESAMPLES - below - equal])
    low, high = interval(differences)
    assert (p_value(differences) < LEVEL) == (low > 0 or high < 0)
    assert p_value(differences) == p_value(-differences)


@pytest.mark.parametrize(("below", "expected"), [(0, 2 / 1001), (24, 50 / 1001), (500, 1), (1000, 2 / 1001)])
def test_p_by_hand(below, expected):
    assert p_value(np.repeat([-1.0, 1.0], [below, RESAMPLES - below])) == pytest.approx(expected)


def test_no_difference_is_no_difference():
    assert p_value(np.zeros(RESAMPLES)) == 1


@pytest.mark.parametrize(
    ("statistics", "there"),
    [
        ({"rouge1": np.ones(FEWEST)}, True),
        ({"rouge1": np.ones(FEWEST - 1)}, False),
        ({"rouge2": np.ones(FEWEST)}, False),
    ],
)
def test_what_cannot_be_resampled_has_no_interval(statistics, there):
    assert (intervals(["rouge1"], statistics) == {"rouge1": (1, 1)}) == there


def test_a_figure_beyond_floating_point_has_no_interval():
    statistics = {"nats": np.full(30, 1e4), "unknown_nats": np.zeros(30), "words": np.ones(30), "chars": np.ones(30)}
    assert set(intervals(["word_perplexity", "bits_per_char"], statistics)) == {"bits_per_char"}


def test_figures_of_a_language_model_by_hand():
    statistics = {"nats": np.array([2.0, 4]), "unknown_nats": np.array([0, 1.0]), "chars": np.array([4.0, 6])}
    assert figures(["bits_per_char"], statistics)["bits_per_char"] == pytest.approx(7 / math.log(2) / 10)
    assert figures(["word_perplexity"], {**statistics, "words": np.array([2.0, 2])}) == {
        "word_perplexity": pytest.approx(math.exp(7 / 4))
    }
    assert figures(["word_perplexity"], statistics) == {}


def test_parts_are_scored_as_if_they_were_alone():
    whole = score_pairs("bleu", HYPOTHESES, REFERENCES, "en")
    lengths = [len(reference.split()) for reference in REFERENCES]
    found = buckets(lengths, (5, 8), ["bleu", "ter", "length_ratio"], whole.statistics)
    assert [bucket.name for bucket in found] == ["0-5", "6-8", "over_8"]
    assert sum(bucket.sentences for bucket in found) == len(REFERENCES)
    for bucket, (first, last) in zip(found, ((0, 5), (6, 8), (9, 99)), strict=True):
        rows = [n for n, length in enumerate(lengths) if first <= length <= last]
        alone = score_pairs("bleu", [HYPOTHESES[n] for n in rows], [REFERENCES[n] for n in rows], "en").corpus
        assert bucket.figures == {key: pytest.approx(alone[key]) for key in ("bleu", "ter", "length_ratio")}
        assert bool(bucket.interval) == (len(rows) >= FEWEST)
