"""ARPA files: what is written is read back to the bit, and what is wrong is told with its line."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ngram import models, tokens_of

from unroll.errors import UserError
from unroll.kinds.ngram.arpa import escape, read_arpa, unescape, write_arpa
from unroll.text.specials import EOS, PAD, SPECIALS, UNK

TEXTS = [[4, 5, 6], [4, 7, 5, 4], [], [UNK, 5], [8, 9, 4, 5]]
TOKENS = [*SPECIALS, " ", "\n", "a", "<unk>", "\\u{20}", "\xa0"]


@pytest.mark.parametrize("context", ["text", "stream"])
@pytest.mark.parametrize("order", [1, 2, 4, 7])
def test_a_model_comes_back_to_the_bit(tmp_path, context, order):
    *_, model = models(TEXTS, order, context, len(TOKENS))
    write_arpa(model, TOKENS, tmp_path / "model.arpa")
    again, tokens = read_arpa(tmp_path / "model.arpa")
    assert tokens == TOKENS
    assert again.vocabulary == model.vocabulary
    assert again.order == min(order, 6 if context == "text" else order)  # <s> and a text of four, with its end
    for table, other in zip(model.tables, again.tables, strict=False):
        if len(other.backoff):
            np.testing.assert_array_equal(table.backoff, other.backoff)
        np.testing.assert_array_equal(table.keys, other.keys)
        np.testing.assert_array_equal(table.log10p, other.log10p)
    tokens = tokens_of(TEXTS, context)
    np.testing.assert_array_equal(model.nats(tokens), again.nats(tokens))


def test_what_is_written_is_the_format_that_other_tools_read(tmp_path):
    *_, model = models([[4, 4, 5]], 2, "text", 6)
    write_arpa(model, [*SPECIALS, "a", " "], tmp_path / "model.arpa")
    lines = (tmp_path / "model.arpa").read_text().split("\n")
    assert lines[:6] == ["\\data\\", "ngram 1=5", "ngram 2=4", "", "\\1-grams:", lines[5]]
    assert [line.split("\t")[1] for line in lines[5:10]] == ["<unk>", "<s>", "</s>", "a", "\\u{20}"]
    assert lines[6].startswith("-99\t<s>\t-0.")
    assert lines[10:12] == ["", "\\2-grams:"]
    assert [line.split("\t")[1] for line in lines[12:16]] == ["<s> a", "a a", "a \\u{20}", "\\u{20} </s>"]
    assert all(line.count("\t") == 1 for line in lines[12:16])
    assert lines[16:] == ["", "\\end\\", ""]


def test_a_file_of_another_tool(tmp_path):
    """Words in any order, no backoff where none is needed, spaces for tabs, a remark at the top, no <unk>."""
    path = tmp_path / "other.arpa"
    path.write_text(
        "# made by hand\n\\data\\\nngram 1=4\nngram 2=3\n\n\\1-grams:\n"
        "-0.5\tb\n-0.25 a -0.125\n0\t<s>\t-0.5\r\n-0.75\t</s>\n\n"
        "\\2-grams:\n-0.5\ta b\n-0.0625\t<s>\ta\n-1\ta </s>\n\n\\end\\\n"
    )
    model, tokens = read_arpa(path)
    assert tokens == [*SPECIALS, "b", "a"]
    b, a = 4, 5
    found = -model.nats(tokens_of([[a, b, a], [UNK]], "text")) / math.log(10)
    expected = [0, -0.0625, -0.5, -0.25, -0.125 - 0.875, 0, -0.5 - 100, -0.75]
    expected[4] = -1  # "a </s>" is there
    assert found == pytest.approx(expected, rel=1e-6)
    assert model.distribution(np.array([a]))[EOS] == -1
    assert model.distribution(np.array([a]))[PAD] == -np.inf


@given(st.text())
def test_every_token_has_a_word_and_comes_back(token):
    word = escape(token)
    assert word and word.lower() not in SPECIALS
    assert not any(c.isspace() for c in word)
    assert unescape(word) == token


@given(st.lists(st.text(alphabet="\\u{}20 <s>"), unique=True))
def test_different_tokens_have_different_words(tokens):
    assert len(set(map(escape, tokens))) == len(tokens)


def test_a_compressed_file_is_refused(tmp_path):
    (tmp_path / "model.arpa.gz").write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        read_arpa(tmp_path / "model.arpa.gz")


def test_ordinary_tokens_stand_as_they_are():
    for token in ["word", "don't", "￭,", "\\alpha", "\\u", "<0x0A>", "<s", "名前", "a\\u{xyz}"]:
        assert escape(token) == token


def test_tokens_must_fit_the_model(tmp_path):
    *_, model = models([[4, 5]], 2, "text", 6)
    for tokens in ([*SPECIALS, "a"], [*SPECIALS, "a", "a"]):
        with pytest.raises(ValueError, match="5 distinct tokens for a model with 6 ids"):
            write_arpa(model, tokens, tmp_path / "model.arpa")
    assert not list(tmp_path.iterdir())


HEAD = "\\data\\\nngram 1=2\nngram 2=1\n\n\\1-grams:\n"
UNIGRAMS = "-1\t<unk>\t0\n-1\ta\t-0.5\n\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no ARPA file"),
        ("hello\n", "no ARPA file"),
        ("\\data\\\n\\1-grams:\n", ":2: found '\\\\1-grams:' where"),
        ("\\data\\\nngram 2=3\n", ":2: should be `ngram 1=COUNT`"),
        ("\\data\\\nngram 1=x\n", ":2: should be `ngram 1=COUNT`"),
        (HEAD + UNIGRAMS, "ends among the 1-grams; \\2-grams: is missing"),
        (HEAD + "x\ta\n", ":6: not a 1-gram of known words"),
        (HEAD + "0.5\ta\n", ":6: not a 1-gram with its log10 probability"),
        (HEAD + "-1\n", ":6: not a 1-gram"),
        (HEAD + UNIGRAMS + "\\2-grams:\n-1\ta b\n", ":10: not a 2-gram of known words ('b')"),
        (HEAD + UNIGRAMS + "\\2-grams:\n-1\ta a\t-1\n", ":10: not a 2-gram"),
        (HEAD + UNIGRAMS + "\\2-grams:\n-1\ta\n", ":10: not a 2-gram"),
        (HEAD + UNIGRAMS + "\\2-grams:\n-1\ta a\n-1\ta <unk>\n\\end\\\n", "2 2-grams, where the head says 1"),
        ("\\data\\\nngram 1=" + "9" * 5_000, ":2: should be `ngram 1=COUNT`"),
        (HEAD + "nan\ta\n", ":6: not a 1-gram with its log10 probability"),
        (HEAD + "-1\ta\tnan\n", ":6: not a 1-gram with its log10 probability"),
        (HEAD + "-1\ta\tinf\n", ":6: not a 1-gram with its log10 probability"),
        (HEAD + "-1\t\\u{110000}\n", ":6: not a 1-gram of known words"),
        (HEAD + "-1\t\\u{d800}\n", ":6: not a 1-gram of known words"),
        (HEAD + "-1\t\\u{" + "f" * 99 + "}\n", ":6: not a 1-gram of known words"),
        (HEAD + "-1\ta\n-2\ta\n\\2-grams:\n", ":7: a 1-gram that was there before"),
        (
            HEAD.replace("2=1", "2=2") + UNIGRAMS + "\\2-grams:\n-1\ta a\n-2\ta a\n\\end\\\n",
            ":11: a 2-gram that was there before",
        ),
        (
            HEAD.replace("ngram 2=1\n", "") + "-1\ta\n-1\t\\u{61}\n\\end\\\n",
            "2 words of it are the token 'a'",
        ),
        (
            HEAD.replace("\n\n", "\nngram 3=1\n\n") + UNIGRAMS + "\\2-grams:\n-1\ta a\t0\n\\3-grams:\n"
            "-1\ta <unk> a\n\\end\\\n",
            ":13: its first 2 words are no n-gram of this file",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_not_right_is_refused_with_its_line(tmp_path, text, problem):
    path = tmp_path / "bad.arpa"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_arpa(path)
    assert problem in str(caught.value)
