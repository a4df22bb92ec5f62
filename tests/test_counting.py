"""Texts cut and counted: plain lines are cut as all others, and counts are those of a dictionary."""

from collections import Counter
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.text import counting as counting_module
from unroll.text.counting import CharacterCounts, SplitCounts, TokenCounts
from unroll.text.tokenizer import _CHUNKS, Tokenizer

WHITE_SPACE = "".join(c for c in map(chr, range(0x110000)) if c.isspace())
ANY_TEXT = st.text() | st.text(WHITE_SPACE + "  ab.é東", max_size=12) | st.text(" ab", max_size=9)


@settings(max_examples=500, deadline=None)
@given(text=ANY_TEXT)
def test_plain_lines_are_cut_as_all_others(text):
    assert Tokenizer("joiner", lowercase=False).chunks(text) == _CHUNKS(text)


@pytest.mark.parametrize("space", WHITE_SPACE)
def test_every_white_space_parts_words(space):
    for text in (f"a{space}b{space}", f"{space}c", f"a {space}b", f"{space}{space}", f"a{space}b"):
        assert Tokenizer("whitespace", lowercase=False).chunks(text) == _CHUNKS(text)


@settings(max_examples=200, deadline=None)
@given(
    added=st.lists(st.lists(st.tuples(st.text("ab", max_size=3), st.integers(1, 3)), max_size=9), max_size=6),
    recent=st.integers(0, 4),
)
def test_counts_are_those_of_a_dictionary_however_often_they_are_packed(added, recent):
    expected = Counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting_module, "RECENT", recent)
        counts = TokenCounts()
        for items in added:
            counts.add(items)
            for token, n in items:
                expected[token] += n
        assert dict(counts) == expected and len(counts) == len(expected)
        assert list(counts.ranked()) == sorted(expected.items(), key=lambda item: (-item[1], item[0]))
        by_rarity = sorted(expected, key=lambda token: (expected[token], crc32(token.encode()), token))
        for n in range(1, len(expected) + 2):
            assert counts.rarest(n) == sorted(by_rarity[:n])


@pytest.mark.parametrize("kept", [0, 2, 100])
def test_stretches_are_split_into_tokens(monkeypatch, kept):
    monkeypatch.setattr(counting_module, "KEPT_STRETCHES", kept)
    counts = SplitCounts(str.split)
    counts.add([("a b", 2), ("b", 1)])
    counts.add([("a b", 1), ("c c", 1), ("", 5)])
    assert dict(counts.tokens) == {"a": 3, "b": 4, "c": 2}
    counts.add([("c", 1)])
    assert dict(counts.tokens)["c"] == 3


def test_characters_are_counted_whatever_they_are():
    counts = CharacterCounts()
    texts = ["aab", "\U0010ffff", "", "b東\0"]
    assert counts.add(texts) is texts
    assert counts.at_least(0) == {"a": 2, "b": 2, "\0": 1, "東": 1, "\U0010ffff": 1}
    assert counts.at_least(2) == {"a": 2, "b": 2}
    assert (counts["a"], counts["c"]) == (2, 0)
