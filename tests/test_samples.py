"""The page of samples."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.errors import UserError
from unroll.evaluation.buckets import Bucket
from unroll.evaluation.excerpts import random_rows
from unroll.evaluation.fluency import Fluency
from unroll.evaluation.generated import FILE, Generated, read_generated, to_jsonl
from unroll.evaluation.samples import Pair, fenced, language_model_page, pair_page
from unroll.evaluation.settings import LanguageModelEvaluation


@given(st.text(st.sampled_from("`~ \na")))
def test_a_text_never_closes_its_fence(text):
    opening, *lines, closing = fenced(text).split("\n")
    assert "\n".join(lines) == text
    fence = opening.removesuffix("text")
    assert closing == fence
    assert len(fence) >= 3
    assert fence not in text


def test_control_characters_are_shown():
    assert fenced("a\x00b\x1b[31m\tc\r\n\x7f").split("\n")[1:3] == ["a␀b␛[31m\tc␍", "␡"]


def test_the_page_of_a_language_model():
    settings = LanguageModelEvaluation(samples=2, prompts=["", "Return "], temperature=0.7, seed=5)
    groups = {
        "generated": Fluency({"words": 1234, "longest_copy": 3, "new_words": 0.125}, "a copied span"),
        "real": Fluency({"words": 0, "longest_copy": 0}, ""),
    }
    measures = {"perplexity": 12.3456, "bits_per_char": 1.5, "unit": "word", "context": "text"}
    page = language_model_page(measures, settings, [Generated("", "Hello\n```"), Generated("Return ", "")], groups)
    assert "unit word · context text · perplexity 12.35 · bits per character 1.5\n" in page
    assert "temperature 0.7 with seed 5" in page
    assert "````text\nHello\n```\n````" in page
    assert "## 2, after a prompt of:\n\n```text\nReturn \n```" in page
    assert "*(nothing)*" in page
    assert "| words | 1,234 | 0 |" in page
    assert "| words that the training text has nowhere | 12.5% |  |" in page
    assert "a copied span" in page
    assert "span that the real text" not in page


def pairs(count: int) -> list[Pair]:
    return [Pair(n, f"s{n}", f"r{n}", f"h{n}", score=100 - n // 2) for n in range(1, count + 1)]


def test_the_page_of_pairs_shows_the_worst_and_random_ones():
    systems = {"model": {"bleu": 31.4159, "exact": 0.5}, "copy": {"bleu": 2.0}}
    groups = {"words in the source": [Bucket("over_320", 1234, {"bleu": 5.0, "length_ratio": 0.876}, None)]}
    page = pair_page(systems, {"bleu": [30.0, 32.5]}, groups, "chrf", pairs(100), figures=["map.png"])
    assert "| model | 31.42 | 0.50 |\n| copy | 2.00 |  |" in page
    assert "95% interval of the model's bleu: 30.00 to 32.50." in page
    assert (
        "| words in the source | sentences | bleu | length_ratio |\n|---|---:|---:|---:|\n| over 320 | 1,234 |" in page
    )
    assert "![map.png](figures/map.png)" in page
    worst, random = page.split("## 20 drawn at random")
    # 98 and 99 score 51; of equal scores the earlier row comes first.
    assert [int(row) for row in re.findall(r"^Row (\d+),", worst, re.M)][:4] == [100, 98, 99, 96]
    assert [int(row) for row in re.findall(r"^Row (\d+),", random, re.M)] == [n + 1 for n in random_rows(100, 20, 1)]
    assert "hypothesis  h100" in worst


@pytest.mark.parametrize("count", [1, 3])
def test_few_pairs_are_all_shown(count):
    page = pair_page({"model": {"bleu": 1.0}}, {}, {}, "chrf", pairs(count), figures=[])
    assert len(re.findall(r"^Row ", page, re.M)) == 2 * count


def test_long_and_empty_texts_of_a_pair_are_readable():
    page = pair_page({}, {}, {}, "chrf", [Pair(1, "词" * 2000, "reference " * 30, "", 0.0)], figures=[])
    assert max(map(len, page.split("\n"))) <= 100
    assert page.count("词") == 2 * 899
    assert "hypothesis  (nothing)" in page


def test_random_rows_are_drawn_by_their_seed():
    assert random_rows(100, 20, 1) == sorted(set(random_rows(100, 20, 1))) != random_rows(100, 20, 2)
    assert random_rows(3, 20, 1) == [0, 1, 2]


def test_generated_texts_are_read_back_as_they_were(tmp_path):
    texts = [Generated("", 'a "quote"\n\r\x00\u2028</script>'), Generated("Return ", "Return 词")]
    (tmp_path / FILE).write_text(to_jsonl(texts), encoding="utf-8", newline="\n")
    assert read_generated(tmp_path) == texts
    assert read_generated(tmp_path / "of a run that wrote none") == []


@pytest.mark.parametrize("line", ["{", "[]", '{"prompt": ""}', "1"])
def test_a_damaged_file_of_texts_is_named(tmp_path, line):
    (tmp_path / FILE).write_text(f"{line}\n")
    with pytest.raises(UserError, match=r"samples\.jsonl: no texts with their prompts"):
        read_generated(tmp_path)
