"""The chunks of many texts at once are those of each text alone."""

from itertools import chain

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.text.chunks import are_tokens, chunks_of, gathered, interleaved, parted, spread
from unroll.text.tokenizer import ESCAPE, JOINER, Tokenizer

TEXTS = st.lists(
    st.text(st.sampled_from(["a", "B", "ß", "İ", ",", " ", "\n", "\u00a0", "\u2028", "\x00", "\ud800", "😀"]))
)


@pytest.mark.parametrize("lowercase", [False, True])
@given(texts=TEXTS)
@settings(deadline=None)
def test_all_texts_fall_into_the_chunks_that_each_has(lowercase, texts):
    tokenizer = Tokenizer("joiner", lowercase)
    found = chunks_of(tokenizer, texts)
    distinct = [*found.words.to_pylist(), *found.others]
    chunks = iter(distinct[place] for place in found.places_N)
    assert [[next(chunks) for _ in range(count)] for count in found.counts_B] == [*map(tokenizer.chunks, texts)]
    assert next(chunks, None) is None
    first = [found.places_N.tolist().index(place) for place in range(len(distinct))]
    assert found.in_order() == [distinct[place] for place in sorted(range(len(distinct)), key=first.__getitem__)]
    assert first[: len(found.words)] == sorted(first[: len(found.words)])


@pytest.mark.parametrize("name", ["joiner", "whitespace"])
@given(words=st.lists(st.text(["a", "B", "é", "٣", "½", ",", "_", JOINER, ESCAPE, "😀", "語"], min_size=1)))
@settings(deadline=None)
def test_words_that_are_tokens_as_they_are(name, words):
    tokenizer = Tokenizer(name, False)
    found = are_tokens(tokenizer, pa.array(words, pa.large_string()))
    for word, says in zip(words, found, strict=True):
        assert tokenizer.tokens(word) == [word] if says else not word.isalnum()


@pytest.mark.parametrize("space", [" ", "\n", "\u3000"])
def test_white_space_is_no_word(space):
    for name in ("joiner", "whitespace"):
        assert not are_tokens(Tokenizer(name, False), pa.array([space], pa.large_string()))[0]


def test_few_are_distinct_and_each_is_counted():
    found = chunks_of(Tokenizer("whitespace", False), ["a b a", "a  b", "b", ""])
    assert found.distinct().to_pylist() == ["a", "b", "a", "  ", "b"]  # other lines are looked at by themselves
    assert found.totals().tolist() == [2, 2, 1, 1, 1]
    assert found.counts_B.tolist() == [3, 3, 1, 0]


@pytest.mark.parametrize("place", [0, 63, 64, 149])
@pytest.mark.parametrize("other", ["", " a", "a ", "a  b", "a\tb"])
def test_one_text_that_is_not_plain_is_told_from_all_others(place, other):
    texts = ["a b", "c"] * 75
    texts[place] = other
    is_plain, plain, others = parted(texts)
    assert np.flatnonzero(~is_plain).tolist() == [place] and others == [other]
    assert plain == texts[:place] + texts[place + 1 :]
    assert parted(plain)[0].all()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4))))
@settings(deadline=None)
def test_spread(pairs):
    begins, counts = ([pair[n] for pair in pairs] for n in (0, 1))
    found = spread(np.array(begins, dtype=np.int64), np.array(counts, dtype=np.int64))
    assert found.tolist() == [begin + n for begin, count in pairs for n in range(count)]


ROWS = st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=6)


@given(first=ROWS, second=ROWS, seed=st.randoms())
@settings(deadline=None)
def test_rows_are_put_in_order_and_gathered(first, second, seed):
    is_first = [True] * len(first) + [False] * len(second)
    seed.shuffle(is_first)
    numbers = iter(first), iter(second)
    wanted = [next(numbers[not says]) for says in is_first]
    found = interleaved(np.array(is_first, dtype=bool), _rows(first), _rows(second))
    assert _lists(found) == wanted
    if first:
        texts = [[seed.randrange(len(first)) for _ in range(n)] for n in (2, 0, 3)]
        places, counts = _rows(texts)
        assert _lists(gathered(_rows(first), places, counts)) == [[*chain(*(first[n] for n in text))] for text in texts]


def _rows(lists):
    return np.array([*chain(*lists)], dtype=np.int64), np.array([*map(len, lists)], dtype=np.int64)


def _lists(rows):
    flat, lengths = rows
    return [part.tolist() for part in np.split(flat, np.cumsum(lengths))[: len(lengths)]]
