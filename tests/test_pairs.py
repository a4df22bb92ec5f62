"""BLEU, chrF and ROUGE of pairs."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from unroll.evaluation.pairs import one_line, score_pairs
from unroll.evaluation.words import words

RAW = {
    "de": (
        ["Der alte Hund\nschläft  heute .", "", "Ich sehe \x0bein\u2028Haus\x85!", "Wir gehen,\r\nsagt er.", "Ja."],
        ["Der alte Hund schläft .", "Nein , danke .", "Ich sehe ein Haus!", "Wir gingen, sagt sie.", ""],
    ),
    "zh": (["我 喜欢 这本书。", "他今天不在家"], ["我喜欢这本书。", "他今天在家吗？"]),
    "ja": (["私はこの本が好きです。", "彼は今日いない"], ["私はその本が好きです。", "彼は家にいない"]),
}


@pytest.mark.parametrize("language", RAW)
def test_sacrebleu_on_the_written_lines_gives_the_stored_figures(tmp_path, language):
    hypotheses, references = ([one_line(text) for text in texts] for texts in RAW[language])
    scores = score_pairs("bleu", hypotheses, references, language)
    for name, lines in (("hypotheses.txt", hypotheses), ("references.txt", references)):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    tokenizer = scores.signatures["bleu"].split("tok:")[1].split("|")[0]
    command = [sys.executable, "-m", "sacrebleu", "references.txt", "-i", "hypotheses.txt"]
    done = subprocess.run(
        [*command, "-m", "bleu", "chrf", "-w", "6", "-tok", tokenizer],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    printed = json.loads(done.stdout)
    assert [entry["score"] for entry in printed] == [
        pytest.approx(scores.corpus[key], abs=1e-6) for key in ("bleu", "chrf")
    ]
    assert [entry["signature"] for entry in printed] == list(scores.signatures.values())
    assert 0 < scores.corpus["chrf"] < 100


@pytest.mark.parametrize(("language", "tokenizer"), [("de", "13a"), ("zh-TW", "zh"), ("ja", "char"), ("th", "char")])
def test_the_tokenizer_of_bleu_suits_the_language(language, tokenizer):
    assert f"|tok:{tokenizer}|" in score_pairs("bleu", ["a"], ["a"], language).signatures["bleu"]


@given(st.text())
def test_a_line_is_one_line_in_every_reading(text):
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line == line.strip() == one_line(line)
    assert line.replace(" ", "") == "".join(text.split())


def test_rouge_by_hand():
    # Words 6 and 4; unigrams shared: the, cat, mat; bigrams shared: the cat; longest common subsequence: the cat mat.
    scores = score_pairs("rouge", ["The cat, my mat!"], ["the cat sat on the mat"], "en")
    assert scores.corpus == {
        "rouge1": pytest.approx(100 * 2 * 3 / 10),
        "rouge2": pytest.approx(100 * 2 * 1 / 8),
        "rougeL": pytest.approx(100 * 2 * 3 / 10),
        "length_ratio": pytest.approx(4 / 6),
        "exact": 0,
    }
    assert "stem:no" in scores.signatures["rouge"]


def test_rouge_is_the_mean_over_sentences():
    scores = score_pairs("rouge", ["a b", "c"], ["a b", "d"], "en")
    assert [sentence["rouge1"] for sentence in scores.sentences] == [100, 0]
    assert scores.corpus["rouge1"] == 50
    assert scores.corpus["exact"] == 0.5


@pytest.mark.parametrize("text", ["Кошка сидит на окне", "我喜欢这本书", "हिन्दी में लिखा है", "Größe der Ärzte"])
def test_equal_sentences_of_any_script_score_100(text):
    corpus = score_pairs("rouge", [text], [text], "xx").corpus
    assert corpus["rouge1"] == corpus["rouge2"] == corpus["rougeL"] == 100
    assert corpus["exact"] == corpus["length_ratio"] == 1


def test_different_chinese_sentences_share_their_characters():
    # 我 and 书 of three each.
    assert score_pairs("rouge", ["我的书"], ["我看书"], "zh").corpus["rouge1"] == pytest.approx(100 * 2 / 3)


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii_are_those_of_rouge_score(text):
    assert words(text) == DefaultTokenizer(False).tokenize(text)


@given(
    st.lists(st.sampled_from(["the", "a", "cat", "dog", "sat"])), st.lists(st.sampled_from(["the", "a", "cat", "dog"]))
)
def test_rouge_of_ascii_is_that_of_rouge_score(reference, hypothesis):
    reference, hypothesis = " ".join(reference), " ".join(hypothesis)
    found = RougeScorer(["rouge1", "rouge2", "rougeL"]).score(reference, hypothesis)
    (ours,) = score_pairs("rouge", [hypothesis], [reference], "en").sentences
    assert ours == {key: pytest.approx(100 * score.fmeasure) for key, score in found.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Grüße, read_csv!", ["grüße", "read", "csv"]),
        ("u\u0308ber", ["über"]),  # composed and decomposed letters are the same
        ("हिन्दी।", ["हिन्दी"]),  # vowel signs belong to their word
        ("我 love書!", ["我", "love", "書"]),
        ("カメラ・ひと", ["カ", "メ", "ラ", "ひ", "と"]),
        ("--- \n", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize("metric", ["bleu", "rouge"])
@pytest.mark.parametrize(("hypothesis", "reference"), [("", "a b"), ("a b", ""), ("", ""), ("?", "!")])
def test_empty_texts_score_0(metric, hypothesis, reference):
    scores = score_pairs(metric, [hypothesis], [reference], "en")
    assert all(value == 0 for name, value in scores.corpus.items() if name not in ("exact", "length_ratio"))
    assert scores.corpus["exact"] == (hypothesis == reference)
    assert ("length_ratio" in scores.corpus) == bool(reference == "a b" or (metric == "bleu" and reference))
