"""The chunks of many texts at once are those of each text alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.text.chunks import chunks_of, spread
from unroll.text.tokenizer import Tokenizer

TEXTS = st.lists(
    st.text(st.sampled_from(["a", "B", "ß", "İ", ",", " ", "\n", "\u00a0", "\u2028", "\x00", "\ud800", "😀"]))
)


@pytest.mark.parametrize("lowercase", [False, True])
@given(texts=TEXTS)
@settings(deadline=None)
def test_all_texts_fall_into_the_chunks_that_each_has(lowercase, texts):
    tokenizer = Tokenizer("joiner", lowercase)
    found = chunks_of(tokenizer, texts)
    chunks = iter(found.distinct[place] for place in found.places_N)
    assert [[next(chunks) for _ in range(count)] for count in found.counts_B] == [*map(tokenizer.chunks, texts)]
    assert next(chunks, None) is None
    first = [found.places_N.tolist().index(place) for place in range(len(found.distinct))]
    assert first == sorted(first)


def test_few_are_distinct_and_each_is_counted():
    found = chunks_of(Tokenizer("whitespace", False), ["a b a", "a  b", "b", ""])
    assert found.distinct == ["a", "b", "a", "  ", "b"]  # lines with other white space are looked at by themselves
    assert found.totals().tolist() == [2, 2, 1, 1, 1]
    assert found.counts_B.tolist() == [3, 3, 1, 0]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4))))
@settings(deadline=None)
def test_spread(pairs):
    begins, counts = ([pair[n] for pair in pairs] for n in (0, 1))
    found = spread(np.array(begins, dtype=np.int64), np.array(counts, dtype=np.int64))
    assert found.tolist() == [begin + n for begin, count in pairs for n in range(count)]
