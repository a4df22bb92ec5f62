"""The pages of units and of neighbours, and what a run's evaluation leaves of all that is seen inside."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from builders import dataset

from unroll.evaluation.evaluate import evaluate_run
from unroll.evaluation.inside.look import shown_piece
from unroll.evaluation.inside.neighbours import neighbour_page, neighbours, tokens_to_show
from unroll.evaluation.inside.page import LEVELS, coloured_text, page
from unroll.evaluation.inside.properties import properties, surfaces
from unroll.evaluation.inside.units import choose_units, liveliest, stretches, unit_page
from unroll.evaluation.predictors import RecurrentLanguageModel
from unroll.evaluation.settings import LanguageModelEvaluation
from unroll.kinds.language_model.network import LanguageModel
from unroll.kinds.language_model.predictor import LanguageModelPredictor
from unroll.kinds.language_model.settings import LanguageModelSettings
from unroll.kinds.ngram.predictor import NgramPredictor
from unroll.text.shards import Texts
from unroll.text.specials import EOS
from unroll.text.units.char import CharVocabulary
from unroll.text.units.word import WordSettings, WordVocabulary
from unroll.text.vocabulary import printable

CPU = torch.device("cpu")


class Balance(HTMLParser):
    """Elements that are open, and all text."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], set(), ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(html: str) -> Balance:
    found = Balance()
    found.feed(html)
    assert found.open == []
    assert not found.tags & {"script", "link", "img", "iframe"}
    assert "http" not in html
    return found


@pytest.mark.parametrize(
    ("name", "text", "expected"),  # a digit a character
    [
        ("inside quotation marks", "a'b 'c' \"d(\"e", "0000110011100"),
        ("inside quotation marks", "`a\n\nb", "11100"),
        ("inside brackets", "(a[b]c)d)(e", "11111100011"),
        ("inside brackets", "(a\n\nb", "11100"),
        ("place in the line", "ab\n c", "12012"),
        ("place in the word", "ab c\nd", "120101"),
        ("white space at the start of a line", "  a b\n c", "11000110"),
        ("white space", "a \n", "011"),
        ("capital letter", "aB1Ä", "0101"),
        ("digit", "a1²", "011"),
        ("punctuation mark", "a_. \n", "01100"),
    ],
)
def test_properties_by_hand(name, text, expected):
    found = properties(list(text))[name]
    assert found.astype(int).tolist() == list(map(int, expected))


def test_an_end_of_text_begins_anew():
    found = properties(["(", "'", "", "a", "bc\n"])
    assert found["inside brackets"].tolist() == [1, 1, 0, 0, 0]
    assert found["inside quotation marks"].tolist() == [0, 1, 0, 0, 0]
    assert np.expm1(found["logarithm of the place in the text"]).tolist() == pytest.approx([1, 2, 0, 1, 4])


def test_surfaces_hold_the_spaces_that_a_unit_implies():
    text = "to be, or\n not"
    words = WordVocabulary.build(Texts([[text]]), WordSettings(unit="word"))
    ids = [EOS, *words.encode(text).tolist(), EOS]
    found = surfaces(words, ids)
    assert "".join(found) == text
    assert found[:4] == ["", "to", " be", ","]
    shown = [shown_piece(words, token, surface) for token, surface in zip(ids, found, strict=True)]
    assert shown[:3] == ["</s>", "to", "␣be"]


@pytest.mark.parametrize(
    ("surface", "shown"), [("<unk>", "<unk>"), ("", "</s>"), ("\N{REPLACEMENT CHARACTER}", "</s>")]
)
def test_a_token_without_a_surface_has_its_name(surface, shown):
    assert shown_piece(CharVocabulary("ab"), EOS, surface) == shown


def test_a_unit_is_found_by_the_property_it_follows():
    random = np.random.default_rng(1)
    digit, line = random.integers(0, 2, 500).astype(float), random.permutation(500).astype(float)
    noise = random.normal(size=(500, 4))
    activations = np.stack([noise[:, 0], 0.01 * digit, line + 100 * noise[:, 1], -digit + 0.1 * noise[:, 2]], axis=1)
    chosen = choose_units(activations.astype(np.float32), {"digit": digit, "line": line, "never": np.zeros(500)})
    assert [(unit.number, unit.property) for unit in chosen] == [(1, "digit"), (2, "line"), (0, None)]
    assert chosen[0].correlation == pytest.approx(1)
    assert chosen[1].correlation == pytest.approx(np.corrcoef(line, activations[:, 2])[0, 1], rel=1e-5)


def test_units_that_never_change_are_no_error():
    chosen = choose_units(np.ones((3, 2), dtype=np.float32), {"digit": np.array([0.0, 1.0, 0.0])})
    assert [(unit.number, unit.property) for unit in chosen] == [(0, None)]
    assert "Unit 0" in unit_page("h", np.zeros((1, 1), dtype=np.float32), ["</s>"], {"digit": np.zeros(1)})


def test_a_stretch_begins_with_a_line_and_is_the_liveliest():
    pieces = list("abcd⏎efgh⏎ijklmnopqrstuvwxyz")
    starts = stretches(pieces, 8)
    assert starts[:3] == [0, 5, 10]
    assert all(start + 8 <= len(pieces) for start in starts)
    values = np.array([p in "fhj" for p in pieces], dtype=float)
    assert liveliest(values, starts, 8) == 5
    assert stretches(["a"], 8) == [0]


def test_tokens_have_the_colour_of_their_level_and_are_escaped():
    html = coloured_text(["<b>", "&", "␣", "⏎", "x"], [LEVELS, LEVELS, -3, 0, 1])
    assert html == "<pre><i class=p10>&lt;b&gt;&amp;</i><i class=n3>␣</i>⏎\n<i class=p1>x</i></pre>"
    assert ".p10 { background: #d460" in page("a page", [])


def test_a_page_of_units_stands_alone_and_shows_the_right_tokens():
    text = 'x <script>alert("1")</script> & y\n' * 5
    values = np.array([1.0 if c.isdigit() else -0.5 if c.isspace() else 0.0 for c in text])
    html = unit_page("h", values[:, None].astype(np.float32), list(map(printable, text)), properties(list(text)))
    assert text.replace(" ", "␣").replace("\n", "⏎\n") in parsed(html).text
    assert "<i class=p10>1</i>" in html
    assert "<i class=n5>␣</i>" in html
    assert "<h2>Unit 0: " in html


VECTORS = np.array(
    [[9, 9], [9, 9], [9, 9], [9, 9], [1, 0], [2, 0.2], [0, 3], [-1, 0], [0, 0], [1, 0]], dtype=np.float32
)
COUNTS = np.array([0, 50, 0, 60, 5, 9, 7, 1, 2, 0])


def test_neighbours_by_hand():
    assert tokens_to_show(COUNTS) == [5, 6, 4, 8, 7]
    first, second = neighbours(VECTORS, COUNTS, [4, 8])
    assert (first.token, first.count) == (4, 5)
    # Token 9, the same as 4, was never seen in training.
    assert [n for n, _ in first.nearest] == [5, 6, 8, 7]
    assert [cosine for _, cosine in first.nearest] == pytest.approx([1 / np.hypot(1, 0.1), 0, 0, -1])
    assert second.nearest == [(n, 0.0) for n in (4, 5, 6, 7)]
    html = neighbour_page([first], CharVocabulary("<&ab\n "))
    assert "<code>&lt;</code>" in html
    assert "<code>&amp;</code><small>1.00</small>" in html
    parsed(html)


def test_rarer_tokens_are_spread_over_the_ranks():
    chosen = tokens_to_show(np.arange(5000, 0, -1))
    assert chosen[:16] == list(range(4, 20))
    assert chosen[-1] == 4999
    assert len(chosen) == len(set(chosen)) == 32


TEXTS = [("a <b> 'c'\nd e 1 2",), ("",), ("b" * 30,), ("é (a) B",)]
UNITS = {
    "char": {"unit": "char"},
    "word": {"unit": "word"},
    "subword": {"unit": "subword", "max_size": 300},
    "syllable": {"unit": "syllable", "max_words": 2, "max_syllables": 2, "language": "en_US"},
}


def evaluated(tmp_path, unit, model, context="stream"):
    splits = {"train": TEXTS, "valid": TEXTS[:1], "test": TEXTS}
    data = dataset(tmp_path / "data", ["text"], splits, {"text": UNITS[unit]}, max_length=20)
    torch.manual_seed(1)
    settings = LanguageModelSettings(**{"kind": "language_model", "embedding": 4, "hidden": 6, **model})
    vocabulary = data.vocabularies["text"]
    predictor = LanguageModelPredictor(LanguageModel(settings, len(vocabulary)), vocabulary, context, CPU)
    bundle = tmp_path / "model"
    bundle.mkdir(exist_ok=True)
    train = {"bptt": 8 if context == "stream" else None}
    (bundle / "bundle.json").write_text(json.dumps({"cost": {"parameters": 1}, "settings": {"train": train}}))
    (tmp_path / "history.csv").write_text("step,train_loss,valid_loss\n")
    places = ([bundle], tmp_path / "history.csv", tmp_path / "results", tmp_path / "predictions")
    evaluate_run(predictor, data, LanguageModelEvaluation(samples=1, sample_tokens=3), *places)
    return {path.name: path.read_bytes() for path in (tmp_path / "results" / "figures").iterdir()}


@pytest.mark.parametrize(
    ("unit", "model", "context", "missing"),
    [
        ("char", {"cell": "lstm"}, "stream", set()),
        ("char", {"cell": "gru", "layers": 2}, "text", set()),
        ("word", {"cell": "elman", "activation": "relu"}, "text", {"gates.png"}),
        ("subword", {"cell": "jordan"}, "stream", {"gates.png"}),
        ("syllable", {"cell": "lstm", "embedding": None}, "stream", {"neighbours.html"}),
    ],
)
def test_an_evaluation_leaves_all_that_a_model_has(tmp_path, unit, model, context, missing):
    files = evaluated(tmp_path, unit, model, context)
    expected = {"gradients.png", "gradients.csv", "gates.png", "units.html", "neighbours.html"} - missing
    assert set(files) == expected | {"lengths.png"}
    for name in expected:
        if name.endswith(".html"):
            parsed(files[name].decode())
    lags = files["gradients.csv"].decode().splitlines()
    assert len(lags) == 1 + 9 if context == "stream" else len(lags) > 5


def test_the_same_model_leaves_the_same_bytes(tmp_path):
    assert evaluated(tmp_path, "char", {"cell": "gru"}) == evaluated(tmp_path, "char", {"cell": "gru"})


def test_a_model_without_a_network_has_no_inside():
    assert not isinstance(NgramPredictor(None, CharVocabulary("ab"), "text"), RecurrentLanguageModel)
