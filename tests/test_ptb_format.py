"""Text in the format of Mikolov's Penn Treebank: spaces at both ends of a line, `<unk>` and `N` as ordinary words."""

import math

import numpy as np
import pytest
import torch
from test_ngram import Formulas

from unroll.evaluation.language_model import measure
from unroll.kinds.ngram.arpa import read_arpa, write_arpa
from unroll.kinds.ngram.predictor import NgramPredictor, model_of
from unroll.kinds.ngram.settings import NgramSettings, NgramTraining
from unroll.kinds.ngram.task import Task
from unroll.text.corpus import read_texts, write_corpus
from unroll.text.encoded import EncodedDataset
from unroll.text.encoding import encode_dataset
from unroll.text.settings import DatasetSettings
from unroll.text.sources.files import CorpusSettings, read
from unroll.text.specials import BOS, EOS, SPECIALS, UNK
from unroll.text.vocabulary import load_vocabularies, save_vocabularies

WORDS = ["the", "<unk>", "N", "of", "mr.", "'s", "u.s.", "company", "$", "said", "traders", "aer"]
ORDER = 5


def lines(count, seed):
    """Lines as in ptb.train.txt, of words that differ much in number."""
    random = np.random.default_rng(seed)
    rows = (np.minimum(random.zipf(1.5, random.integers(1, 12)), len(WORDS)) - 1 for _ in range(count))
    return [f" {' '.join(WORDS[n] for n in row)} \n" for row in rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The synthetic treebank, fetched and encoded."""
    folder = tmp_path_factory.mktemp("ptb")
    written = {"train": [f" {' '.join(WORDS)} \n", *lines(60, 1)], "valid": lines(10, 2), "test": lines(20, 3)}
    for split, text in written.items():
        (folder / f"ptb.{split}.txt").write_text("".join(text))
    names = {split: f"ptb.{split}.txt" for split in written}
    write_corpus(read(CorpusSettings(source="files", path=str(folder), strip=True, **names)), folder / "raw")
    unit = {"unit": "word", "tokenizer": "whitespace"}
    stated = DatasetSettings(corpus="ptb", fields={"text": unit}, max_length=100)
    save_vocabularies(folder / "raw", stated, folder / "vocab")
    encode_dataset("ptb", folder / "raw", folder / "vocab", stated, folder / "encoded")
    return folder


@pytest.fixture(scope="module")
def texts(folder):
    return list(read_texts(folder / "raw", "test", "text"))


@pytest.fixture(scope="module")
def vocabulary(folder):
    return load_vocabularies(folder / "vocab")["text"]


@pytest.fixture(scope="module")
def predictor(folder, vocabulary):
    data = EncodedDataset.open(folder / "encoded")
    task = Task(NgramSettings(kind="ngram", order=ORDER), NgramTraining(context="text"), data, torch.device("cpu"))
    *_, stage = task.stages()
    return NgramPredictor(model_of(stage.weights, len(vocabulary)), vocabulary, "text")


def test_a_line_has_its_words_and_an_end(folder, texts):
    written = (folder / "ptb.test.txt").read_text()
    tokens = EncodedDataset.open(folder / "encoded").manifest["splits"]["test"]["text"]["tokens"]
    assert tokens == len(written.split()) + written.count("\n")
    assert [text.split(" ") for text in texts] == [line.split() for line in written.splitlines()]


def test_a_literal_unk_is_a_word_like_any_other(vocabulary, texts):
    assert len(vocabulary) == len(SPECIALS) + len(WORDS)
    [number] = vocabulary.encode("<unk>").tolist()
    assert number != UNK and number >= len(SPECIALS)
    assert any("<unk>" in text for text in texts)
    for text in texts:
        assert vocabulary.decode(vocabulary.encode(text)) == text
        assert vocabulary.unknown_tokens(text) == []
        assert vocabulary.unknown_nats(text) == 0


def test_the_perplexity_of_the_n_gram_is_that_of_the_formulas(folder, texts, vocabulary, predictor, monkeypatch):
    monkeypatch.setattr("test_ngram.V", len(vocabulary))
    train = [vocabulary.encode(text).tolist() for text in read_texts(folder / "raw", "train", "text")]
    formulas = Formulas(train, ORDER, "text")
    nats, tokens = 0.0, 0
    for text in texts:
        row = (BOS, *vocabulary.encode(text).tolist(), EOS)
        for place in range(1, len(row)):
            nats -= math.log(formulas.p(row[place], row[max(0, place - ORDER + 1) : place]))
            tokens += 1
    found, _ = measure(predictor, texts)
    assert found["tokens"] == found["words"] == tokens
    assert found["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-5)
    assert found["word_perplexity"] == pytest.approx(found["perplexity"], rel=1e-12)  # no spelling is charged
    assert found["oov_rate"] == found["unknown_nats"] == 0


def test_an_arpa_file_keeps_the_two_apart(tmp_path, texts, vocabulary, predictor):
    tokens = vocabulary.tokens(range(len(vocabulary)))
    write_arpa(predictor.model, tokens, tmp_path / "ptb.arpa")
    model, read_tokens = read_arpa(tmp_path / "ptb.arpa")
    assert sorted(read_tokens) == sorted(tokens)
    assert read_tokens.count("<unk>") == 2  # the special one, and the word
    places = {token: n for n, token in enumerate(read_tokens) if n >= len(SPECIALS)}
    for history in (["the"], ["<unk>", "N"], ["of", "<unk>"]):
        context = np.array([BOS, *vocabulary.encode(" ".join(history))])
        again = np.array([BOS, *(places[word] for word in history)])
        order = [*range(len(SPECIALS)), *(places[word] for word in tokens[len(SPECIALS) :])]
        np.testing.assert_allclose(model.distribution(again)[order], predictor.model.distribution(context), rtol=1e-6)
