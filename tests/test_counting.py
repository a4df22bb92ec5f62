"""Texts cut and counted: plain lines are cut as all others, and counts are those of a dictionary."""

import pickle
import tempfile
from collections import Counter
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.text import counting as counting_module
from unroll.text import tallies as tallies_module
from unroll.text.counting import CharacterCounts, SplitCounts, TokenCounts
from unroll.text.tallies import tally
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
    waiting=st.integers(0, 4),
    kept=st.integers(0, 12),
)
def test_counts_are_those_of_a_dictionary_however_often_they_are_merged_and_spilled(added, waiting, kept):
    expected = Counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting_module, "WAITING", waiting)
        patch.setattr(counting_module, "KEPT_TOKENS", kept)
        counts = TokenCounts()
        for items in added:
            counts.add(tally([token for token, _ in items], [n for _, n in items]))
            for token, n in items:
                expected[token] += n
        assert dict(counts) == expected and len(counts) == len(expected)
        ranked = sorted(expected.items(), key=lambda item: (-item[1], item[0]))
        assert list(counts.ranked()) == ranked
        assert list(counts.ranked(most=3, least=2)) == [item for item in ranked if item[1] >= 2][:3]
        by_rarity = sorted(expected, key=lambda token: (expected[token], crc32(token.encode()), token))
        for n in range(1, len(expected) + 2):
            assert counts.rarest(n) == sorted(by_rarity[:n])
        again = TokenCounts()
        again.merge(pickle.loads(pickle.dumps(counts)))
        assert dict(again) == expected


@pytest.mark.parametrize("files", [2, 32])
def test_counts_that_are_too_many_are_on_disk_and_leave_no_name_there(monkeypatch, tmp_path, files):
    monkeypatch.setattr(counting_module, "WAITING", 10)
    monkeypatch.setattr(counting_module, "KEPT_TOKENS", 50)
    monkeypatch.setattr(tallies_module, "MOST_FILES", files)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    counts = TokenCounts()
    for n in range(40):
        counts.add(tally(["common", *(f"{n} {m}" for m in range(10))], [1] * 11))
    assert len(counts._kept) < 100 and counts._spilled is not None
    assert dict(counts) == {f"{n} {m}": 1 for n in range(40) for m in range(10)} | {"common": 40}
    assert list(counts.ranked(most=1)) == [("common", 40)]
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kept", [0, 2, 100])
@pytest.mark.parametrize("are_tokens", [None, lambda stretches: np.array([s == "b" for s in stretches.to_pylist()])])
def test_stretches_are_split_into_tokens(monkeypatch, kept, are_tokens):
    monkeypatch.setattr(counting_module, "KEPT_STRETCHES", kept)
    counts = SplitCounts(str.split, are_tokens)
    counts.add(tally(["a b", "b"], [2, 1]))
    counts.add(tally(["a b", "c c", ""], [1, 1, 5]))
    assert dict(counts.tokens) == {"a": 3, "b": 4, "c": 2}
    counts.add(tally(["c"], [1]))
    assert dict(counts.tokens)["c"] == 3


def test_characters_are_counted_whatever_they_are():
    counts = CharacterCounts()
    texts = ["aab", "\U0010ffff", "", "b東\0"]
    assert counts.add(texts) is texts
    assert counts.at_least(0) == {"a": 2, "b": 2, "\0": 1, "東": 1, "\U0010ffff": 1}
    assert counts.at_least(2) == {"a": 2, "b": 2}
    assert (counts["a"], counts["c"]) == (2, 0)
