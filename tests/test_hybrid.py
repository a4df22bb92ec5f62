"""The unit `hybrid`: what has an id, what is spelled; every text comes back, and spellings are written."""

import json
import math
import resource
import string
import time
from itertools import cycle, islice

import numpy as np
import pytest
from builders import dataset, text_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.bridges.vocabulary_file import read_entries, read_splitter
from unroll.errors import UserError
from unroll.text.settings import HybridField
from unroll.text.specials import EOS, SPECIALS, UNK
from unroll.text.tokenizer import Tokenizer
from unroll.text.units import hybrid as hybrid_module
from unroll.text.units.hybrid import LONGEST, HybridVocabulary, pieces
from unroll.text.vocabulary import build_vocabulary

TEXT = "the cat, the dog. the cat, a bird"  # the 3; cat and ￭, 2; ￭. a bird dog 1
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(
    " \n\t\0+￭￮012ab.İß\u0301\u093e\u3000", max_size=30
)


def field(max_words=9, **more):
    return HybridField(unit="hybrid", max_words=max_words, **more)


def test_words_by_rank_then_open_ids_as_they_come():
    vocabulary = build_vocabulary([TEXT], field())
    assert len(vocabulary) == 7
    assert vocabulary.tokens(range(7)) == [*SPECIALS, "the", "cat", "￭,"]
    assert vocabulary.encode("a cat, dog a").tolist() == [7, 5, 6, 8, 7]
    assert vocabulary.encode("dog the new").tolist() == [8, 4, 9]
    assert vocabulary.spelled == ["a", "dog", "new"]
    assert vocabulary.tokens([9, 4, EOS]) == ["new", "the", "</s>"]
    assert vocabulary.decode([7, 5, 6, EOS, 9]) == "a cat, new"
    assert len(vocabulary) == 7
    assert len(build_vocabulary([TEXT], field(max_words=1))) == 5


def test_a_token_that_was_written_gets_an_id_or_is_the_word_that_it_is():
    vocabulary = build_vocabulary([TEXT], field())
    assert vocabulary.id_of("cat") == 5
    assert vocabulary.id_of("zebra") == vocabulary.id_of("zebra") == 7
    assert vocabulary.encode("a zebra").tolist() == [8, 7]


def test_characters_are_those_of_the_text_and_of_the_tokenizer():
    vocabulary = build_vocabulary(["aab abb c"], field(min_char_count=2))
    assert set(vocabulary.characters.characters) == set("ab ￭￮01")
    (n,) = vocabulary.encode("acb")
    a, b = vocabulary.characters.encode("ab").tolist()
    assert vocabulary.spelling(n).tolist() == [a, UNK, b]


def test_only_unknown_characters_of_spelled_tokens_are_charged():
    vocabulary = build_vocabulary(["na\u00efve na\u00efve ab ab ab"], field(min_char_count=3))
    assert vocabulary.unknown_nats("na\u00efve ab") == 0  # an unknown character of a word that has an id
    charge = math.log(0x110000 - len(vocabulary.characters.characters))
    assert vocabulary.unknown_nats("\u00ef \u03a9b\u03a9, na\u00efve") == pytest.approx(4 * charge)  # and the comma
    assert vocabulary.unknown_tokens("\u03a9 x") == []
    assert UNK not in vocabulary.encode("\u03a9 x")


@settings(max_examples=300, deadline=None)
@given(train=st.lists(ANY_TEXT, max_size=4), text=ANY_TEXT, words=st.sampled_from([0, 1, 99]))
def test_every_text_comes_back(train, text, words):
    vocabulary = build_vocabulary(train * 2, field(words, min_char_count=1 + len(text) % 2))
    for one in [text, *train, text]:
        ids = vocabulary.encode(one)
        assert vocabulary.decode(ids) == one
        assert all(n >= len(SPECIALS) for n in ids)
        spelled = [n for n in ids.tolist() if n >= len(vocabulary)]
        assert all(1 <= len(vocabulary.spelling(n)) <= LONGEST for n in spelled)
        unknown = sum((vocabulary.spelling(n) == UNK).sum() for n in spelled)
        assert (vocabulary.unknown_nats(one) > 0) == (unknown > 0)


@settings(max_examples=200, deadline=None)
@given(text=st.text("ab \t￭.\u0301\u3000", max_size=40))
def test_tokens_cut_short_come_back_too(text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hybrid_module, "LONGEST", 4)
        vocabulary = build_vocabulary([text], field())
        ids = vocabulary.encode(text)
        assert vocabulary.decode(ids) == text
        assert all(len(token) <= 4 for token in vocabulary._tokens[len(SPECIALS) :])


@pytest.mark.parametrize(
    ("token", "lengths"),
    [
        ("a" * LONGEST, [LONGEST]),
        ("a" * (LONGEST + 1), [LONGEST, 2]),
        ("a" * (2 * LONGEST - 2), [LONGEST, LONGEST - 1]),
        (" " * (LONGEST + 1), [LONGEST, 1]),
    ],
)
def test_a_token_longer_than_any_is_cut(token, lengths):
    cut = list(pieces(token))
    assert list(map(len, cut)) == lengths
    assert Tokenizer("joiner", lowercase=False).join(cut) == token


@pytest.mark.parametrize("unit", ["station ", "station", string.ascii_letters])
def test_a_line_of_ten_megabytes_is_encoded_in_time(unit):
    vocabulary = build_vocabulary(["a station. The nation"], field())
    line = "".join(islice(cycle(unit), 10_000_000))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    ids = vocabulary.encode(line)
    assert time.monotonic() - start < 60
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 2_500
    assert max(map(len, vocabulary.spelled)) <= LONGEST
    assert vocabulary.decode(ids) == line


def test_what_is_saved_has_no_open_ids(tmp_path):
    vocabulary = build_vocabulary([TEXT], field())
    vocabulary.encode("zebra")
    vocabulary.save(tmp_path, "text")
    stored = json.loads((tmp_path / "text.json").read_text(encoding="utf-8"))
    assert (stored["unit"], stored["tokens"]) == ("hybrid", [*SPECIALS, "the", "cat", "￭,"])
    again = HybridVocabulary.load(tmp_path, "text")
    assert (again.spelled, len(again)) == ([], len(vocabulary))
    assert again.characters.characters == vocabulary.characters.characters


@pytest.mark.parametrize("texts", [[], [""], ["one"], ["\n"], ["日本語の文章"]])
def test_small_texts_make_a_vocabulary(texts):
    vocabulary = build_vocabulary(texts, field())
    for text in [*texts, "new"]:
        assert vocabulary.decode(vocabulary.encode(text)) == text


def test_the_spellings_of_training_and_validation_are_written(tmp_path):
    splits = {"train": [("the the cat",), ("the dog",)], "valid": [("the dog fish",)], "test": [("bird the",)]}
    data = dataset(tmp_path, ["text"], splits, {"text": field().model_dump()})
    characters = data.vocabularies["text"].characters
    # the is a word; cat, dog and fish have the ids 5, 6 and 7.
    train, valid = (split.fields["text"].ids.tolist() for split in (data.train, data.valid))
    assert train == [4, 4, 5, EOS, 4, 6, EOS]
    assert valid == [4, 6, 7, EOS]
    spellings = data.spellings["text"]
    assert [characters.decode(spellings.of(n)) for n in (5, 6)] == ["cat", "dog"]
    assert spellings.of(7).tolist() == [UNK, UNK, UNK, *characters.encode("h")]
    assert len(spellings.offsets) == 4  # bird, of the test split, is not among them
    assert data.train.fields["text"].ids.dtype == np.uint32
    described = data.manifest["fields"]["text"]
    assert (described["size"], described["characters"]) == (5, len(characters))
    assert data.manifest["splits"]["train"]["text"]["tokens"] == 7
    assert [data.manifest["splits"][split]["text"]["spelled"] for split in splits] == [2, 2, 1]
    report = json.loads((data.folder / "report.json").read_text())["fields"]["text"]["splits"]["train"]
    assert (report["tokens"], report["spelled"], report["oov_rate"], report["coverage"]) == (5, 2 / 5, 0, 1 / 3)
    assert report["frequent_spelled"] == [["cat", 1], ["dog", 1]]
    assert report["frequent_unknown"] == []


def test_a_data_set_without_rare_words_has_empty_spellings(tmp_path):
    data = text_dataset(tmp_path, ["a a"], field().model_dump())
    assert data.spellings["text"].offsets.tolist() == [0]
    assert text_dataset(tmp_path / "char", ["a a"], {"unit": "char"}).spellings == {}


def test_encoding_is_deterministic(tmp_path):
    made = [text_dataset(tmp_path / name, [TEXT, "more rare words"], field().model_dump()) for name in "ab"]
    assert made[0].manifest["sha256"] == made[1].manifest["sha256"]


def test_torchtext_cannot_have_it(tmp_path):
    build_vocabulary([TEXT], field()).save(tmp_path, "text")
    for read in (read_entries, read_splitter):
        with pytest.raises(UserError, match="a hybrid vocabulary is open"):
            read(tmp_path / "text.json")
