"""What the evaluation of a run writes, with models that need no training."""

import csv
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from builders import dataset

from unroll.errors import UserError
from unroll.evaluation import pair_findings
from unroll.evaluation.evaluate import evaluate_run
from unroll.evaluation.generated import read_generated
from unroll.evaluation.scores import figures as figures_of
from unroll.evaluation.settings import LanguageModelEvaluation, PairEvaluation
from unroll.evaluation.significance import read_scored
from unroll.text.specials import SPECIALS, UNK


class Words:
    """The least of a vocabulary: known words apart, and nothing that brings the spaces back."""

    unit = "word"
    known: ClassVar = [*SPECIALS, "a", "b", "c", "Katze"]

    def encode(self, text):
        return np.array([self.known.index(w) if w in self.known else UNK for w in text.split()], dtype=np.int64)

    def tokens(self, ids):
        return [self.known[n] for n in ids]

    def unknown_tokens(self, text):
        return [word for word in text.split() if word not in self.known]

    def unknown_nats(self, text):
        return None


class Uniform:
    """Every token has the same probability; what it writes is what it is told to."""

    task, context, vocabulary = "language_model", "text", Words()

    def __init__(self, nats=2.0):
        self.nats = nats

    def score(self, texts):
        return [SimpleNamespace(nats=self.nats * (len(t.split()) + 1), tokens=len(t.split()) + 1) for t in texts]

    def generate(self, prompts, *, max_tokens, sampling, seed):
        return [f"{prompt}a b new `word`" for prompt in prompts]


class Reverser:
    """Turns its source around."""

    task, source, target = "pairs", Words(), Words()

    def __init__(self):
        self.asked = None

    def decode(self, sources, settings, tell, engine):
        self.asked = settings
        return [self.hypothesis(source.split()[::-1]) for source in sources]

    def p_gen(self, sources, hypotheses):
        return None

    def hypothesis(self, tokens):
        looked = np.full((len(tokens), len(tokens) + 1), 1 / (len(tokens) + 1))
        return SimpleNamespace(text=" ".join(tokens), score=-1.5, tokens=tokens, alignment=looked)


TEXTS = {"train": [("a b c",), ("c",)], "valid": [("a",)], "test": [("a b",), ("a x\nb",)]}
PAIRS = {
    "train": [("a b c", "c b a"), ("c c", "Katze")],
    "valid": [("a", "a")],
    "test": [("a\nb", "b a"), ("", "x\r\ny"), ("c c", "")],
}


def data(folder, splits):
    """The encoded data set of texts, or of pairs."""
    columns = ["text"] if splits is TEXTS else ["source", "target"]
    return dataset(folder / "data", columns, splits, {column: {"unit": "word"} for column in columns})


@pytest.fixture
def places(tmp_path):
    model = tmp_path / "model"
    (model / "vocab").mkdir(parents=True)
    (model / "bundle.json").write_text('{"cost": {"parameters": 7, "steps": 3}}')
    (model / "vocab" / "text.json").write_text("12345")
    results = tmp_path / "results"
    results.mkdir()
    history = results / "history.csv"
    history.write_text("step,train_loss,valid_loss\n1,2.0,\n2,1.5,1.75\n")
    return {"models": [model], "history": history, "results": results, "predictions": tmp_path / "predictions"}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_language_model(places, tmp_path):
    settings = LanguageModelEvaluation(samples=3, prompts=["", "c "])
    evaluate_run(Uniform(), data(tmp_path, TEXTS), settings, **places)
    metrics = json.loads((places["results"] / "metrics.json").read_text())
    assert metrics["test"] == {
        "nll_nats": 14,
        "perplexity": pytest.approx(math.exp(2)),
        "oov_rate": 1 / 5,
        "texts": 2,
        "chars": 4 + 6,
        "words": 3 + 5,
        "tokens": 7,
        "unit": "word",
        "context": "text",
    }
    assert metrics["interval"] == {}
    assert metrics["fluency"]["generated"]["words"] == 12  # prompts do not count
    assert metrics["fluency"]["generated"]["new_words"] == 0.5
    assert metrics["fluency"]["real"]["words"] == 5  # all there are
    assert metrics["cost"] == {
        "parameters": 7,
        "steps": 3,
        "model_bytes": sum(map(len, files(places["models"][0]).values())),
    }
    with (places["predictions"] / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["nats"]) for row in rows] == [6, 8]
    assert [row["unknown_nats"] for row in rows] == ["", ""]
    assert [row["chars"] for row in rows] == ["4", "6"]
    page = (places["results"] / "samples.md").read_text()
    assert page.count("c a b new `word`") == 1
    assert [text.prompt for text in read_generated(places["predictions"])] == ["", "c ", ""]
    assert read_generated(places["predictions"])[1].text == "c a b new `word`"


def test_pairs(places, tmp_path):
    predictor = Reverser()
    settings = PairEvaluation(metric="bleu", beam=3, length_penalty=0.9)
    evaluate_run(predictor, data(tmp_path, PAIRS), settings, **places)
    assert (predictor.asked.beam, predictor.asked.length_penalty) == (3, 0.9)
    written = files(places["predictions"])
    assert written["sources.txt"] == b"a b\n\nc c\n"
    assert written["references.txt"] == b"b a\nx y\n\n"
    assert written["hypotheses.txt"] == b"b a\n\nc c\n"
    with (places["predictions"] / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [list(row.values())[:3] for row in rows] == [
        ["-1.5", "100.0", "0.0"],
        ["-1.5", "0.0", "100.0"],
        ["-1.5", "0.0", "100.0"],
    ]
    assert list(rows[0])[:3] == ["model_score", "chrf", "ter"]
    assert [row["ter_edits"] for row in rows] == ["0", "2", "2"]
    metrics = json.loads((places["results"] / "metrics.json").read_text())
    assert metrics["test"]["exact"] == pytest.approx(1 / 3)
    assert metrics["test"]["length_ratio"] == 1
    assert set(metrics["baseline"]) == {"copy", "nearest"}
    assert all(set(figures) == set(metrics["test"]) for figures in metrics["baseline"].values())
    assert set(metrics["signature"]) == {"bleu", "bleu_lc", "chrf", "ter"}
    assert metrics["interval"] == {}  # three sentences do not say how sentences vary
    kept = read_scored(places["predictions"])
    counted = figures_of(metrics["test"], kept.statistics)
    assert counted | {"copy_rate": metrics["test"]["copy_rate"]} == metrics["test"]
    assert {name: part["sentences"] for name, part in metrics["by_source_words"].items()} == {"0-5": 3}
    assert metrics["by_source_words"]["0-5"]["ter"] == metrics["test"]["ter"] == 100
    # A row without tokens has no figure.
    figures = files(places["results"] / "figures")
    assert list(figures) == [
        "attention_row_1.png",
        "attention_row_3.png",
        "learning_curve.png",
        "lengths.png",
        "scores_by_length.png",
    ]


def test_long_and_unknown_sources_are_scored_apart(places, tmp_path):
    sources = ["a"] * 10 + ["a b x"] * 10 + ["b " * 6 + "x y", "x y z"] + ["c " * 40 + "a"]
    rows = [(source, " ".join(source.split()[::-1]) if n % 2 else "c c") for n, source in enumerate(sources)]
    splits = {"train": PAIRS["train"], "valid": PAIRS["valid"], "test": rows}
    evaluate_run(Reverser(), data(tmp_path, splits), PairEvaluation(metric="rouge"), **places)
    metrics = json.loads((places["results"] / "metrics.json").read_text())
    lengths, unknown = metrics["by_source_words"], metrics["by_unknown_tokens"]
    assert {name: part["sentences"] for name, part in lengths.items()} == {"0-5": 21, "6-10": 1, "41-80": 1}
    assert {name: part["sentences"] for name, part in unknown.items()} == {"0": 11, "1": 10, "2": 1, "over_2": 1}
    for parts in (lengths, unknown):
        whole = sum(part["sentences"] * part["rougeL"] for part in parts.values()) / len(rows)
        assert whole == pytest.approx(metrics["test"]["rougeL"])
    kept = read_scored(places["predictions"])
    counted = figures_of(metrics["test"], kept.statistics)
    assert counted | {"copy_rate": metrics["test"]["copy_rate"]} == metrics["test"]
    low, high = metrics["interval"]["rouge1"]
    assert low < metrics["test"]["rouge1"] < high
    page = (places["results"] / "samples.md").read_text()
    assert "| words in the source | sentences | rouge1 |" in page
    assert "| over 2 | 1 | 100.00 |" in page
    assert f"95% interval of the model's rouge1: {low:.2f} to {high:.2f}." in page


def test_attention_over_a_long_source_shows_what_is_looked_at_most(monkeypatch):
    drawn = []
    monkeypatch.setattr(pair_findings, "alignment", lambda *shown: drawn.append(shown) or b"")
    weights = np.full((2, 50), 0.001)
    weights[:, 10:40] = np.linspace(0.5, 0.4, 30)
    pair_findings._attention_map(weights, [f"s{n}" for n in range(50)], ["x", "y"])
    ((shown, source, target, remark),) = drawn
    assert source == [f"s{n}" for n in range(10, 40)]
    assert target == ["x", "y"]
    assert np.array_equal(shown, weights[:, 10:40])
    assert remark == "the 30 of 50 source tokens looked at most"


def test_summaries(places, tmp_path):
    evaluate_run(Reverser(), data(tmp_path, PAIRS), PairEvaluation(metric="rouge"), **places)
    metrics = json.loads((places["results"] / "metrics.json").read_text())
    assert metrics["test"]["rouge1"] == pytest.approx(100 / 3)
    assert metrics["test"]["rouge2"] == pytest.approx(100 / 3)
    assert set(metrics["baseline"]) == {"copy", "nearest", "first_sentence", "first_12_words"}
    assert metrics["baseline"]["copy"]["rouge1"] == pytest.approx(100 / 3)
    assert metrics["baseline"]["copy"]["rouge2"] == 0


@pytest.mark.parametrize(
    ("tokenized", "ending", "told"), [(False, " .", True), (True, " .", False), (False, ".", False)]
)
def test_references_that_look_tokenized_are_told(places, tmp_path, capsys, tokenized, ending, told):
    splits = {"train": [("a", "b")], "valid": [("a", "b")], "test": [("a b", f"b a{ending}"), ("b c", f"c b{ending}")]}
    evaluate_run(Reverser(), data(tmp_path, splits), PairEvaluation(metric="bleu", tokenized=tokenized), **places)
    shown = "2 of 2 references end in ' .' and look tokenized; `evaluate: {tokenized: true}`"
    assert (shown in capsys.readouterr().err) == told


def test_a_single_pair_in_chinese(places, tmp_path):
    splits = {"train": [("我", "你")], "valid": [("我", "你")], "test": [("我喜欢书", "书我喜欢")]}
    evaluate_run(Reverser(), data(tmp_path, splits), PairEvaluation(metric="bleu", language="zh"), **places)
    metrics = json.loads((places["results"] / "metrics.json").read_text())
    assert "tok:zh" in metrics["signature"]["bleu"]
    assert 0 < metrics["test"]["bleu"] < 100


@pytest.mark.parametrize(
    ("predictor", "splits", "settings"),
    [
        (Uniform(), TEXTS, LanguageModelEvaluation()),
        (Reverser(), PAIRS, PairEvaluation(metric="bleu")),
        (Reverser(), PAIRS, PairEvaluation(metric="rouge")),
    ],
)
def test_the_same_run_gives_the_same_bytes(places, tmp_path, predictor, splits, settings):
    made = data(tmp_path, splits)
    evaluate_run(predictor, made, settings, **places)
    before = files(tmp_path)
    evaluate_run(predictor, made, settings, **places)
    assert files(tmp_path) == before


def test_a_diverged_model_writes_nothing(places, tmp_path):
    made = data(tmp_path, TEXTS)
    before = files(tmp_path)
    with pytest.raises(UserError, match="test: text 1 scores nan nats"):
        evaluate_run(Uniform(nats=math.nan), made, LanguageModelEvaluation(), **places)
    assert files(tmp_path) == before


def test_a_run_without_steps_has_no_learning_curve(places, tmp_path):
    places["history"].write_text("step,train_loss,valid_loss\n")
    evaluate_run(Uniform(), data(tmp_path, TEXTS), LanguageModelEvaluation(), **places)
    assert list(files(places["results"] / "figures")) == ["lengths.png"]
