"""Scores of captions against several references: BLEU-1 to -4, ROUGE-L and CIDEr-D."""

import io
import json
import math

import numpy as np
import pytest
import torch
from builders import image_dataset
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sacrebleu.metrics.bleu import BLEU

from unroll.evaluation.caption_figures import Shown, attention_over_image, contact_sheet
from unroll.evaluation.captions import as_words, score_captions
from unroll.evaluation.cider import cider
from unroll.evaluation.evaluate import evaluate_run
from unroll.evaluation.settings import CaptionEvaluation
from unroll.kinds.captioner.network import Captioner
from unroll.kinds.captioner.predictor import CaptionPredictor
from unroll.kinds.captioner.settings import CaptionerSettings

REFERENCES = [
    ["a dog runs", "a brown dog runs on grass"],
    ["two cats sleep", "cats sleep on a bed", "two cats on a bed"],
    ["a boat"],
]
CAPTIONS = ["a dog runs on grass", "two cats sleep on a bed", "a red boat"]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_bleu_of_every_order_is_that_of_sacrebleu(order):
    found = score_captions(CAPTIONS, REFERENCES).corpus[f"bleu{order}"]
    streams = [[said[n] if n < len(said) else None for said in REFERENCES] for n in range(3)]
    wanted = BLEU(tokenize="none", max_ngram_order=order, force=True).corpus_score(CAPTIONS, streams).score
    assert found == pytest.approx(wanted)


def test_bleu_by_hand():
    """One word of two is right; the nearest reference has as many words, so nothing is taken off."""
    assert score_captions(["a dog"], [["a cat", "one very large animal"]]).corpus["bleu1"] == pytest.approx(50)


def test_rouge_is_of_the_best_reference():
    """a dog runs on grass: LCS 5 of 6 words of the second reference, all 5 of the caption: F1 = 10/11."""
    assert score_captions(CAPTIONS, REFERENCES).sentences[0]["rougeL"] == pytest.approx(100 * 10 / 11)


def test_exact_is_any_of_the_references():
    assert score_captions(["a dog runs", "two cats", "a boat"], REFERENCES).corpus["exact"] == pytest.approx(2 / 3)


def test_cider_by_hand():
    """Two images. Image 1, caption `a x` of reference `a x b`; image 2 has `a y`.

    n = 1: df(a) = 2, so a weighs 0; x and b weigh l = log 2. The caption is (x: l), the reference (x: l, b: l):
    l^2 / (l * l sqrt 2) = 1 / sqrt 2. n = 2: caption (a x: l), reference (a x: l, x b: l): the same. n = 3 and 4: the
    caption has none. Lengths 2 and 3: times exp(-1 / 72). 10 * mean of (1/sqrt 2, 1/sqrt 2, 0, 0).
    """
    found = cider([["a", "x"], ["a", "y"]], [[["a", "x", "b"]], [["a", "y"]]])
    assert found[0] == pytest.approx(10 * 2 / 4 / math.sqrt(2) * math.exp(-1 / 72))
    # `a y` is its reference: 1 for n = 1 and n = 2, and no longer n-grams.
    assert found[1] == pytest.approx(10 * 2 / 4)


def test_cider_counts_no_word_more_often_than_the_reference():
    """`x x` of the reference `x`: min(2 l, l) * l / (2 l * l) = 1/2, lengths 2 and 1."""
    found = cider([["x", "x"], ["y"]], [[["x"]], [["y"]]])
    assert found[0] == pytest.approx(10 / 4 / 2 * math.exp(-1 / 72))


words = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6)


@given(st.lists(st.tuples(words, st.lists(words, min_size=1, max_size=3)), min_size=2, max_size=5))
def test_cider_lies_between_0_and_10(rows):
    found = cider([caption for caption, _ in rows], [references for _, references in rows])
    assert ((found >= 0) & (found <= 10 + 1e-9)).all()


def test_a_long_reference_scores_10_of_itself():
    rows = [f"{x} one two three four".split() for x in "xy"]
    unlike = [["six", "seven", "eight", "nine", "ten"], *rows]
    assert cider(unlike, [[row] for row in unlike])[0] == pytest.approx(10)


def test_words_are_compared_without_case_and_punctuation():
    assert as_words("A dog, running .") == "a dog running"


def test_the_average_of_images_is_the_figure():
    scores = score_captions(CAPTIONS, REFERENCES)
    assert scores.corpus["cider"] == pytest.approx(np.mean([one["cider"] for one in scores.sentences]))


# --- figures and results ---------------------------------------------------------------------------------------------


def size(png: bytes) -> tuple[int, int]:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image.size


def test_figures_bear_any_caption():
    image = np.full((24, 24, 3), 200, dtype=np.uint8)
    odd = ["", "$x_ and $", "word " * 90]
    assert size(contact_sheet([Shown(image, text, text, not text) for text in odd]))[0] > 500
    weights = np.random.default_rng(1).dirichlet(np.ones(9), size=40)
    assert size(attention_over_image(image, weights, ["$a", *["b"] * 39]))[0] > 500


@pytest.mark.parametrize("way", ["attention", "first-input"])
def test_a_run_is_evaluated(tmp_path, way):
    data = image_dataset(tmp_path, scenes=36)
    torch.manual_seed(1)
    stated = {"kind": "captioner", "image": way, "channels": [4, 8], "cell": "gru", "embedding": 8, "hidden": 16}
    network = Captioner(CaptionerSettings(**stated), data.manifest["images"], len(data.vocabularies["target"]))
    predictor = CaptionPredictor(network, data.vocabularies["target"], data.manifest["images"], torch.device("cpu"))
    settings = CaptionEvaluation(beam=2, min_length=2, max_length=6, shown=3, maps=2)
    evaluate_run(predictor, data, settings, [], None, tmp_path / "results", tmp_path / "predictions")
    metrics = json.loads((tmp_path / "results" / "metrics.json").read_text())
    assert (
        {"cider", "bleu1", "bleu4", "rougeL", "exact"} <= metrics["test"].keys() <= {*metrics["test"], "length_ratio"}
    )
    assert metrics["baseline"]["nearest"]["bleu1"] > 0
    figures = {path.name for path in (tmp_path / "results" / "figures").iterdir()}
    assert {"contact_sheet.png", "lengths.png"} <= figures
    assert sum(name.startswith("attention_row_") for name in figures) == (2 if way == "attention" else 0)
    references = (tmp_path / "predictions" / "references.txt").read_text().splitlines()
    hypotheses = (tmp_path / "predictions" / "hypotheses.txt").read_text().splitlines()
    again = score_captions(hypotheses, [line.split("\t") for line in references]).corpus
    assert metrics["test"] == pytest.approx(again)
    assert "contact_sheet.png" in (tmp_path / "results" / "samples.md").read_text()
