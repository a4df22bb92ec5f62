"""Hypotheses that need no training."""

import pytest

from unroll.evaluation import baselines as module
from unroll.evaluation.baselines import baselines, first_sentence, nearest


def test_nearest_by_hand():
    train = ["the red house", "a blue car", "the the the", "a blue house"]
    texts = ["blue car parked", "red", "the", "house of blue"]
    assert nearest(train, texts) == [1, 0, 2, 3]


def test_a_rare_word_counts_more_than_a_frequent_one():
    # Both share one word of two; `zebra` is in one training text, `the` in all others.
    assert nearest(["the end", "the start", "the zebra runs"], ["zebra the"]) == [2]


def test_ties_and_unknown_texts_go_to_the_first():
    assert nearest(["x y", "a b", "b a", "a b"], ["a b", "unseen", "", "..."]) == [1, 0, 0, 0]


def test_texts_without_words_find_their_like():
    assert nearest(["!", "?", ""], ["?", ""]) == [1, 2]


def test_pieces_give_what_the_whole_gives(monkeypatch):
    train = [f"word{n} word{n * 7 % 50} shared" for n in range(50)]
    texts = [f"word{n * 3 % 50} shared" for n in range(40)]
    whole = nearest(train, texts)
    monkeypatch.setattr(module, "SIMILARITIES", 120)  # two texts at a time
    assert nearest(train, texts) == whole
    assert len(set(whole)) > 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Return x. Then y.", "Return x."),
        ("Is it 3.14 yet? Yes.", "Is it 3.14 yet?"),
        ("A title\n\nIts body.", "A title"),
        ("over two\nlines. More", "over two\nlines."),
        ("你好。再见。", "你好。"),
        ("no end", "no end"),
        ("  \n", ""),
    ],
)
def test_first_sentence(text, expected):
    assert first_sentence(text) == expected


def test_the_baselines_of_each_metric():
    source = "One two three four. " + "word " * 20
    found = baselines("rouge", [source], ["word", "other"], ["WORD", "OTHER"])
    assert found == {
        "copy": [source],
        "nearest": ["WORD"],
        "first_sentence": ["One two three four."],
        "first_12_words": ["One two three four. word word word word word word word word"],
    }
    assert list(baselines("bleu", [source], ["word"], ["WORD"])) == ["copy", "nearest"]
