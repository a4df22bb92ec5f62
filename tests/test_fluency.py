"""Figures of generated text beside real text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.evaluation.fluency import fluency, real_sample
from unroll.evaluation.spans import SharedSpan

TEXTS = st.lists(st.lists(st.sampled_from("abc")), max_size=5)


def runs(texts):
    return {tuple(text[i:j]) for text in texts for i in range(len(text)) for j in range(i + 1, len(text) + 1)}


@given(TEXTS, TEXTS)
def test_the_longest_shared_span_is_that_of_all_spans(given_texts, read_texts):
    shared = SharedSpan(given_texts)
    for text in read_texts:
        shared.read(text)
    both = runs(given_texts) & runs(read_texts)
    assert len(shared.span) == max(map(len, both), default=0)
    assert not shared.span or tuple(shared.span) in both
    assert shared.unseen == {w for t in given_texts for w in t} - {w for t in read_texts for w in t}


def test_a_span_ends_with_its_text():
    shared = SharedSpan([["a", "b", "c"], ["d", "e"]])
    for text in (["a", "b"], ["c"], ["c", "d", "e", "x"]):
        shared.read(text)
    assert shared.span == ["a", "b"]
    assert shared.unseen == set()


def test_figures_by_hand():
    generated = [["a", "b", "a", "b", "a", "b"], ["c", "new"]]
    found = fluency({"generated": generated}, ["X a b a, y!", "c"])["generated"]
    assert found.copied == "a b a"
    assert found.figures == {
        "words": 8,
        "new_words": 1 / 8,
        "longest_copy": 3,
        "distinct_1": 4 / 8,
        "distinct_2": 3 / 6,  # ab, ba, c new
        "distinct_3": 2 / 4,  # aba, bab
        "repetition": 1 / 3,  # abab, baba, abab
    }


def test_groups_do_not_mix_and_shares_of_nothing_are_missing():
    found = fluency({"generated": [[], []], "real": [["a", "b"]]}, iter(["a b"]))
    assert found["generated"].figures == {"words": 0, "longest_copy": 0}
    assert found["generated"].copied == ""
    assert found["real"].figures == {
        "words": 2,
        "new_words": 0,
        "longest_copy": 2,
        "distinct_1": 1,
        "distinct_2": 1,
    }


def test_a_repetition_in_another_text_is_none():
    assert fluency({"x": [list("abcd"), list("abcd")]}, [])["x"].figures["repetition"] == 0


@pytest.mark.parametrize("size", [0, 1, 7, 12, 1000])
def test_a_real_sample_has_as_many_words_as_asked(size):
    texts = [f"text number{n} ends" for n in range(5)]
    sample = real_sample(texts, size, seed=3)
    assert sum(map(len, sample)) == min(size, 15)
    assert sample == real_sample(texts, size, seed=3)
    assert {word for text in sample for word in text} <= {word for text in texts for word in text.split()}


def test_the_seed_draws_the_real_sample():
    texts = [str(n) for n in range(50)]
    assert real_sample(texts, 10, seed=1) != real_sample(texts, 10, seed=2)
