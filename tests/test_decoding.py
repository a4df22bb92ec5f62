"""Decoding with a network: penalties, samples and unknown words of each source, alone, among others and in a stream."""

from itertools import count, islice, pairwise

import numpy as np
import pytest
import torch
from builders import dataset, pair_dataset
from test_seq2seq import pairs, predictor_of, settings

from unroll.errors import UserError
from unroll.kinds.seq2seq.predictor import LOGITS, POSITIONS, batches
from unroll.kinds.seq2seq.settings import DecodeSettings
from unroll.text.specials import UNK


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return pair_dataset(tmp_path_factory.mktemp("pairs"), pairs(23))


DECODINGS = [
    {"coverage_penalty": 0.4},
    {"min_length": 3, "max_length": 7},
    {"no_repeat_ngram": 2, "coverage_penalty": 0.2, "length_penalty": 1.0},
    {"replace_unknown": True},
]


@pytest.mark.parametrize("more", DECODINGS, ids=str)
def test_penalties_keep_the_result_of_each_source(data, more):
    predictor, chosen = predictor_of(data, settings()), DecodeSettings(beam=3, **more)
    sources = [*data.raw_texts("test", "source"), "a b new c", "", "new", "c c c c c c"]
    together = predictor.decode_nbest(sources, chosen)
    for source, several in zip(sources, together, strict=True):
        (alone,) = predictor.decode_nbest([source], chosen)
        assert [h.text for h in alone] == [h.text for h in several]
        for one, other in zip(alone, several, strict=True):
            assert one.score == pytest.approx(other.score, rel=1e-10)
            assert one.log_probability == pytest.approx(other.log_probability, rel=1e-10)
            covered = np.minimum(1.0, one.alignment.sum(0))
            assert (covered > 0).all() or not one.tokens
    best = predictor.decode(sources, chosen)
    assert [h.text for h in best] == [several[0].text for several in together]


def test_samples_belong_to_the_place_of_their_source_and_to_the_seed(data):
    predictor = predictor_of(data, settings())

    def samples(sources: list[str], seed: int = 1):
        chosen = DecodeSettings(beam=1, sample={"temperature": 2.0, "seed": seed})
        return [[h.text for h in several] for several in predictor.decode_nbest(sources, chosen, 3)]

    sources = list(data.raw_texts("test", "source"))
    drawn = samples(sources)
    assert all(len(several) == 3 for several in drawn)
    assert drawn == samples(sources) != samples(sources, seed=2)
    others = [source if n % 2 else "h g f e d c b a" for n, source in enumerate(sources)]
    assert samples(others)[1::2] == drawn[1::2]
    assert samples(["a"] * 20)[0] != samples(["a"] * 20)[1]
    assert samples(sources[:5]) == drawn[:5]


def test_a_stream_is_answered_in_order_as_it_comes(data):
    predictor, chosen = predictor_of(data, settings()), DecodeSettings(beam=2)
    sources = list(data.raw_texts("test", "source"))
    expected = [hypothesis.text for hypothesis in predictor.decode(sources, chosen)]
    for waits in (lambda: False, lambda: True):
        answers = list(predictor.decode_stream(iter(sources), chosen, 1, waits))
        assert [answer.source for answer in answers] == sources
        assert [answer.hypotheses[0].text for answer in answers] == expected
    endless, asked = ("a b" for _ in count()), count(1)
    answers = list(islice(predictor.decode_stream(endless, chosen, 1, lambda: next(asked) % 4 == 0), 6))
    assert (len(answers), next(asked)) == (6, 9)


def test_a_stream_holds_so_much_text_and_no_more(data, monkeypatch):
    monkeypatch.setattr("unroll.kinds.seq2seq.predictor.WINDOW", 100)
    predictor, read = predictor_of(data, settings()), []
    predictor.max_length = 5

    def long():
        for n in range(30):
            read.append(n)
            yield "a " * 19 + "a"

    for n, answer in enumerate(predictor.decode_stream(long(), DecodeSettings(beam=1))):
        assert answer.cut == 15
        assert len(read) - n <= 3


def test_batches_keep_to_their_bounds_and_hold_everything():
    lengths = sorted([1, 1, 2, 3, 5, 400, 400, 5000, 20000] * 50)
    for beam, vocabulary in ((1, 10), (5, 10_000), (40, 100_000)):
        chosen = list(batches(lengths, beam, vocabulary))
        assert [n for batch in chosen for n in batch] == list(range(len(lengths)))
        for batch in chosen:
            assert len(batch) == 1 or len(batch) * beam * lengths[batch[-1]] <= POSITIONS
            assert len(batch) == 1 or len(batch) * beam * vocabulary <= LOGITS
        for batch, after in pairwise(chosen):  # and they are as large as that lets them be
            more = (len(batch) + 1) * beam
            assert more * lengths[after[0]] > POSITIONS or more * vocabulary > LOGITS
    assert list(batches([], 5, 10)) == []


def test_an_unknown_word_becomes_the_source_word_that_attention_looks_at_most(data):
    predictor = predictor_of(data, settings())
    with torch.no_grad():
        predictor.network.output.linear.bias[UNK] = 500
    chosen = DecodeSettings(beam=2, replace_unknown=True, max_length=6)
    for source in ["a (new) words, b", "new", "a b c"]:
        words = predictor.source.split(source)
        hypothesis = predictor.decode([source], chosen)[0]
        looked = hypothesis.alignment[:, : len(words)].argmax(1)
        assert hypothesis.tokens == [words[n] for n in looked]
        assert predictor.source.split(hypothesis.text) != []
        assert len(hypothesis.tokens) == 6
    assert UNK not in predictor.target.encode(predictor.decode(["new"], DecodeSettings(beam=2))[0].text)
    (nothing,) = predictor.decode([""], chosen)  # has no word to be put there
    assert set(nothing.tokens) == {"<unk>"}


def test_unknown_characters_are_not_replaced(tmp_path):
    rows = [("ab", "ba")] * 3
    fields = {"source": {"unit": "char"}, "target": {"unit": "word"}}
    chars = dataset(tmp_path, ["source", "target"], dict.fromkeys(("train", "valid", "test"), rows), fields)
    predictor = predictor_of(chars, settings())
    with pytest.raises(UserError, match=r"replace_unknown: belongs to unit word, .*found char and word"):
        predictor.decode(["ab"], DecodeSettings(replace_unknown=True))
