"""The measures of a language model, worked out by hand."""

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.errors import UserError
from unroll.evaluation.language_model import count_words, measure
from unroll.text.settings import CharField, HybridField, SubwordField, SyllableField, WordField
from unroll.text.specials import EOS, UNK
from unroll.text.vocabulary import build_vocabulary

CHAR = CharField(unit="char")
WORD = WordField(unit="word")
SYLLABLE = SyllableField(unit="syllable", max_words=1, max_syllables=2, language="en_US")


class Unigram:
    """A token's bits depend on the token alone: `bits` by the token as it is written, the rest costs `other`."""

    context = "text"

    def __init__(self, vocabulary, bits=None, other=0.0, end=0.0):
        self.vocabulary = vocabulary
        self.bits = {int(vocabulary.encode(token)[0]): cost for token, cost in (bits or {}).items()}
        self.bits[EOS], self.other = end, other

    def score(self, texts):
        rows = [[*self.vocabulary.encode(text).tolist(), EOS] for text in texts]
        return [
            SimpleNamespace(nats=math.log(2) * sum(self.bits.get(id_, self.other) for id_ in row), tokens=len(row))
            for row in rows
        ]


def uniform(vocabulary):
    """Every id is equally likely."""
    bits = math.log2(len(vocabulary))
    return Unigram(vocabulary, other=bits, end=bits)


def measures(predictor, texts):
    return measure(predictor, texts)[0]


@pytest.mark.parametrize(
    ("settings", "train", "size", "tokens"),
    [
        # a, b, newline and 4 special tokens; every character and the end of a text is a token
        (CHAR, ["ab\n"], 7, 8),
        # ab, aab, a newline; the texts are [ab newline aab], []: 3 + 1 and 0 + 1 tokens
        (WORD, ["ab\naab", "ab"], 7, 5),
        # a, b, newline, space and 4 signs of the tokenizer, each twice, and ab: ab, newline, a+ a+ b; and 2 ends
        (SYLLABLE.model_copy(update={"max_syllables": 0}), ["ab\naab", "ab"], 4 + 2 * 8 + 1, 7),
    ],
)
def test_a_uniform_model_by_hand(settings, train, size, tokens):
    vocabulary = build_vocabulary(train, settings)
    found = measures(uniform(vocabulary), ["ab\naab", ""])
    assert len(vocabulary) == size
    assert found == {
        "nll_nats": pytest.approx(tokens * math.log(size)),
        "unknown_nats": 0,
        "perplexity": pytest.approx(size),
        "bits_per_char": pytest.approx(tokens * math.log2(size) / 8),
        "word_perplexity": pytest.approx(size ** (tokens / 5)),  # 2 words and 2 + 1 ends of lines
        "oov_rate": 0,
        "texts": 2,
        "chars": 8,
        "words": 5,
        "tokens": tokens,
        "unit": settings.unit,
        "context": "text",
    }


def test_a_uniform_subword_model_by_hand():
    vocabulary = build_vocabulary(["aaaa bbbb aaaa bbbb"] * 50, SubwordField(unit="subword", max_size=270))
    text = "aaaa bbbb é"
    tokens = len(vocabulary.encode(text)) + 1
    found = measures(uniform(vocabulary), [text])
    assert found["bits_per_char"] == pytest.approx(tokens * math.log2(len(vocabulary)) / 12)
    assert (found["oov_rate"], found["unknown_nats"], found["chars"]) == (0, 0, 12)


def test_a_uniform_syllable_model_by_hand():
    vocabulary = build_vocabulary(["the the the station station nation"], SYLLABLE)
    # Ids: 4 special ones; 8 characters, a space and 4 signs of the tokenizer, each twice; the, tion, sta+.
    assert len(vocabulary) == 4 + 2 * (8 + 1 + 4) + 3
    found = measures(uniform(vocabulary), ["the station ïa"])
    charge = math.log2(2 * (0x110000 - 13))  # ï is any other character, inside a token or at its end
    # the; sta+, tion; unknown, a; the end
    assert found["tokens"] == 6
    assert found["bits_per_char"] == pytest.approx((6 * math.log2(len(vocabulary)) + charge) / 15)
    assert found["oov_rate"] == 1 / 5


class Speller(Unigram):
    """Every id is equally likely, and where a word is spelled every character and its end."""

    def score(self, texts):
        found = super().score(texts)
        for row, text in zip(found, texts, strict=True):
            open_ids = [n for n in self.vocabulary.encode(text).tolist() if n >= len(self.vocabulary)]
            spelled = sum(len(self.vocabulary.spelling(n)) + 1 for n in open_ids)
            row.nats += spelled * math.log(len(self.vocabulary.characters))
        return found


def test_a_uniform_hybrid_model_by_hand():
    vocabulary = build_vocabulary(["the the the cat sat"], HybridField(unit="hybrid", max_words=1))
    assert len(vocabulary) == 4 + 1  # the
    assert len(vocabulary.characters) == 4 + 7 + 4  # t h e c a s, a space, and 4 signs of the tokenizer
    bits = math.log2(5)
    found = measures(Speller(vocabulary, other=bits, end=bits), ["the c\u00e4t"])
    charge = math.log2(0x110000 - 11)  # ä is any other character
    # the; a word that is spelled, by three characters and its end; the end
    assert (found["tokens"], found["chars"], found["oov_rate"]) == (3, 8, 0)
    assert found["unknown_nats"] == pytest.approx(charge * math.log(2))
    assert found["bits_per_char"] == pytest.approx((3 * bits + 4 * math.log2(15) + charge) / 8)


def test_character_and_word_unigrams_of_the_same_text():
    texts = ["ab a", "a"]
    # Bits: a 1, b 3, space 3, end 2. "ab a" is 1 + 3 + 3 + 1 + 2 = 10, "a" is 1 + 2 = 3; characters 5 + 2.
    chars = measures(Unigram(build_vocabulary(["ab "], CHAR), {"a": 1, "b": 3, " ": 3}, end=2), texts)
    assert chars["bits_per_char"] == pytest.approx(13 / 7)
    assert chars["perplexity"] == pytest.approx(2 ** (13 / 7))
    assert chars["word_perplexity"] == pytest.approx(2 ** (13 / 5))
    # Bits: a 1, ab 2, end 2. "ab a" is 2 + 1 + 2 = 5, "a" is 1 + 2 = 3; tokens 3 + 2.
    words = measures(Unigram(build_vocabulary(["ab a"], WORD), {"a": 1, "ab": 2}, end=2), texts)
    assert words["bits_per_char"] == pytest.approx(8 / 7)
    assert words["perplexity"] == words["word_perplexity"] == pytest.approx(2 ** (8 / 5))
    assert (chars["chars"], chars["words"]) == (words["chars"], words["words"]) == (7, 5)


def test_unknown_characters_are_charged_a_choice_among_all_others():
    vocabulary = build_vocabulary(["ab"], CHAR)
    found, rows = measure(Unigram(vocabulary, other=1.0, end=1.0), ["axx", "b"])
    charge = 2 * math.log(0x110000 - 2)
    assert found["nll_nats"] == pytest.approx(6 * math.log(2))
    assert found["unknown_nats"] == pytest.approx(charge)
    assert found["perplexity"] == pytest.approx(2)  # the unknown token is one like any other
    assert found["bits_per_char"] == pytest.approx((6 + charge / math.log(2)) / 6)
    assert found["oov_rate"] == 2 / 4
    assert [row.unknown_nats for row in rows] == [pytest.approx(charge), 0]
    assert [row.unknown_tokens for row in rows] == [2, 0]


def test_unknown_words_are_charged_their_spelling():
    vocabulary = build_vocabulary(["ab ab ba"], WordField(unit="word", min_count=2))
    assert vocabulary.encode("ab ba").tolist()[1] == UNK
    found = measures(Unigram(vocabulary, other=1.0, end=1.0), ["ab ba"])
    charge = vocabulary.unknown_nats("ba")
    assert charge > 0
    assert found["bits_per_char"] == pytest.approx((3 + charge / math.log(2)) / 6)
    assert found["word_perplexity"] == pytest.approx(math.exp((3 * math.log(2) + charge) / 3))
    assert found["perplexity"] == pytest.approx(2)


def test_a_unit_that_cannot_be_undone_has_no_bits_per_character():
    vocabulary = build_vocabulary(["AB ab"], WordField(unit="word", lowercase=True))
    found, rows = measure(uniform(vocabulary), ["Ab"])
    assert not {"bits_per_char", "word_perplexity", "unknown_nats"} & set(found)
    assert found["perplexity"] == pytest.approx(len(vocabulary))
    assert rows[0].unknown_nats is None


@pytest.mark.parametrize(
    ("text", "words"), [("", 1), ("a b", 3), ("a\nb", 4), ("a\n\n b\t c\n", 7), ("你好。", 2), ("a\r\nb", 4)]
)
def test_words_are_whitespace_tokens_and_ends_of_lines(text, words):
    assert count_words(text) == words


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_a_uniform_model_costs_the_same_bits_whatever_the_text(texts):
    """Characters alone: as many tokens as characters, whichever they are and wherever texts end."""
    found = measures(uniform(build_vocabulary(["abc"], CHAR)), texts)
    assert found["tokens"] == found["chars"]
    assert found["nll_nats"] / math.log(2) / found["chars"] == pytest.approx(math.log2(7))


def test_empty_texts_alone():
    found = measures(uniform(build_vocabulary(["ab"], CHAR)), ["", ""])
    assert found["oov_rate"] == 0
    assert found["bits_per_char"] == pytest.approx(math.log2(6))


def test_many_texts_are_summed_without_loss():
    vocabulary = build_vocabulary(["a"], CHAR)
    costs = [1e16, 1.0, -1e16, 1.0]

    class Odd(Unigram):
        def score(self, texts):
            return [SimpleNamespace(nats=cost, tokens=1) for cost in costs]

    assert measures(Odd(vocabulary), [""] * 4)["nll_nats"] == 2


def test_a_perplexity_beyond_floating_point_is_missing():
    found = measures(Unigram(build_vocabulary(["a"], CHAR), end=2000.0), [""])
    assert "perplexity" not in found
    assert found["bits_per_char"] == pytest.approx(2000)


@pytest.mark.parametrize("bits", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_told(bits):
    with pytest.raises(UserError, match=r"test: text 2 scores (nan|inf) nats"):
        measure(Unigram(build_vocabulary(["a"], CHAR), {"a": bits}), ["", "a"])
