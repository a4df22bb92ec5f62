"""Vocabularies: text comes back, unknowns are counted and charged, the same text gives the same bytes."""

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.errors import UserError
from unroll.text.settings import CharField, SubwordField, SyllableField, WordField
from unroll.text.shards import Texts
from unroll.text.specials import BOS, EOS, PAD, SPECIALS, UNK
from unroll.text.spelling import END, ORDER, START, UNSEEN, SpellingModel
from unroll.text.tokenizer import Tokenizer
from unroll.text.units import remembered as remembered_module
from unroll.text.units import subword as subword_module
from unroll.text.units import word as word_module
from unroll.text.units.subword import SubwordVocabulary
from unroll.text.vocabulary import build_vocabulary, load_vocabularies, printable

TEXTS = [
    "Return the sum of f(x), not of x.",
    "Parameters\n----------\nx : array_like\n    What it's about.",
    "Grüße – 東京, naïve café; \ttab  two spaces ",
    "the the the a",
]
FIELDS = [
    CharField(unit="char"),
    WordField(unit="word"),
    WordField(unit="word", tokenizer="whitespace"),
    SubwordField(unit="subword", max_size=320),
    SubwordField(unit="subword", max_size=320, model="bpe"),
    SyllableField(unit="syllable", max_words=8, max_syllables=8, language="en_US"),
    SyllableField(unit="syllable", max_words=0, max_syllables=0, language="de", min_count=1),
]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text(
    " \n\t\r\0\x1a\x1c.,x_￭￮▁<>01é\u0301\u093e\u3000", max_size=30
)


@pytest.fixture(scope="module", params=FIELDS, ids=lambda field: "-".join(map(str, field.model_dump().values())))
def vocabulary(request):
    return build_vocabulary(iter(TEXTS), request.param)


def test_training_text_comes_back(vocabulary):
    for text in TEXTS:
        ids = vocabulary.encode(text)
        assert ids.dtype == np.int64
        assert vocabulary.decode(ids) == text
        assert not set(ids.tolist()) & {PAD, UNK, BOS, EOS}
        assert vocabulary.unknown_nats(text) == 0
        assert ids.max() < len(vocabulary)
        assert len(vocabulary.tokens(ids)) == len(ids)


@settings(max_examples=300, deadline=None)
@given(text=ANY_TEXT)
def test_any_text_comes_back_or_loses_only_counted_unknowns(vocabulary, text):
    ids = vocabulary.encode(text)
    unknown = int((ids == UNK).sum())
    assert unknown == len(vocabulary.unknown_tokens(text))
    assert len(vocabulary.tokens(ids)) == len(ids)
    assert all(piece.isprintable() for piece in vocabulary.tokens(ids))
    charge = vocabulary.unknown_nats(text)
    if unknown == 0:
        assert vocabulary.decode(ids) == text
        assert charge == 0
    else:
        assert vocabulary.unit in ("char", "word", "syllable")
        assert charge > unknown * 0.1
        assert "<unk>" in vocabulary.decode(ids)
    if vocabulary.unit == "subword":
        assert unknown == 0


@settings(max_examples=100, deadline=None)
@given(numbers=st.lists(st.integers(0, 10**6), max_size=30))
def test_any_ids_are_some_text(vocabulary, numbers):
    assert isinstance(vocabulary.decode([number % len(vocabulary) for number in numbers]), str)


@pytest.mark.parametrize("name", ["joiner", "whitespace"])
@settings(max_examples=500, deadline=None)
@given(text=ANY_TEXT)
def test_every_text_survives_its_tokenizer(name, text):
    tokenizer = Tokenizer(name, lowercase=False)
    assert tokenizer.join(tokenizer.split(text)) == text


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("f(x), y", ["f", "￭(￭", "x", "￭)", "￭,", "y"]),
        ("a - b-c", ["a", "-", "b", "￭-￭", "c"]),
        ("it's", ["it", "￭'￭", "s"]),
        ("a\n b  c ", ["a", "\n", " ", "b", "  ", "c", " "]),
        (" a", [" ", "a"]),
        (" ", [" "]),
        ("a:\n\n    b", ["a", "￭:", "\n\n", "    ", "b"]),
        ("...", [".", "￭.", "￭."]),
        ("a ￭", ["a", "￮1"]),
        ("￭a ￮1", ["￮1￭", "a", "￮0￭", "1"]),
        ("e\u0301a \u0915\u093e", ["e\u0301a", "\u0915\u093e"]),
    ],
)
def test_joiner_tokens_by_hand(text, tokens):
    tokenizer = Tokenizer("joiner", lowercase=False)
    assert tokenizer.split(text) == tokens
    assert tokenizer.join(tokens) == text


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("the cat , it 's", ["the", "cat", ",", "it", "'s"]),
        ("a.b\nc", ["a.b", "\n", "c"]),
        ("a  b", ["a", "  ", "b"]),
        ("￭, ￮", ["￮1,", "￮0"]),
    ],
)
def test_whitespace_tokens_by_hand(text, tokens):
    tokenizer = Tokenizer("whitespace", lowercase=False)
    assert tokenizer.split(text) == tokens
    assert tokenizer.join(tokens) == text


def test_joiners_without_a_partner_leave_no_trace():
    assert Tokenizer("joiner", lowercase=False).join(["￭.", "(￭", "￭)", "a", "(￭"]) == ". () a ("


@pytest.mark.parametrize(
    ("token", "shown"), [("a", "a"), ("  ", "␣␣"), ("\n", "⏎"), ("\t", "⇥"), ("\0", "\\x00"), ("\u2028", "\\u2028")]
)
def test_every_token_can_be_shown(token, shown):
    assert printable(token) == shown


def test_many_are_encoded_like_each_one(vocabulary):
    texts = [*TEXTS, "", "x"]
    ids, lengths = vocabulary.encode_many(texts)
    assert lengths.tolist() == [len(vocabulary.encode(text)) for text in texts]
    assert ids.tolist() == [id_ for text in texts for id_ in vocabulary.encode(text).tolist()]
    assert vocabulary.encode_many([])[0].tolist() == []


def test_special_tokens_leave_no_trace(vocabulary):
    ids = [BOS, *vocabulary.encode("the").tolist(), EOS, PAD]
    assert vocabulary.decode(ids) == "the"


def test_what_is_saved_comes_back(vocabulary, tmp_path):
    vocabulary.save(tmp_path, "text")
    loaded = type(vocabulary).load(tmp_path, "text")
    for text in [*TEXTS, "unseen Ω words"]:
        assert loaded.encode(text).tolist() == vocabulary.encode(text).tolist()
        assert loaded.unknown_nats(text) == vocabulary.unknown_nats(text)
    assert json.loads((tmp_path / "text.json").read_text())["unit"] == vocabulary.unit


def test_ties_are_broken_by_the_token_and_counts_rank():
    words = build_vocabulary(["b a c b"], WordField(unit="word"))
    assert words.tokens(range(len(words))) == [*SPECIALS, "b", "a", "c"]
    characters = build_vocabulary(["cab", "b"], CharField(unit="char"))
    assert characters.tokens(range(len(characters))) == [*SPECIALS, "b", "a", "c"]
    assert characters.encode("b").tolist() == [len(SPECIALS)]


@pytest.mark.parametrize(
    ("field", "kept"),
    [
        (WordField(unit="word", max_size=1), ["the"]),
        (WordField(unit="word", min_count=2), ["the", "of"]),
        (WordField(unit="word", min_count=2, max_size=1), ["the"]),
        (WordField(unit="word", min_count=9), []),
    ],
)
def test_rare_words_are_unknown(field, kept):
    vocabulary = build_vocabulary(["the the the of of a b"], field)
    assert vocabulary.tokens(range(4, len(vocabulary))) == kept
    assert len(vocabulary) == len(SPECIALS) + len(kept)
    assert vocabulary.unknown_tokens("the a of zzz") == [w for w in ("the", "a", "of", "zzz") if w not in kept]


@pytest.mark.parametrize("tokenizer", ["joiner", "whitespace"])
@settings(max_examples=200, deadline=None)
@given(text=ANY_TEXT)
def test_unknown_words_put_back_give_the_text(tokenizer, text):
    vocabulary = build_vocabulary(iter(TEXTS), WordField(unit="word", tokenizer=tokenizer))
    ids, unknown = vocabulary.encode(text), vocabulary.unknown_tokens(text)
    assert vocabulary.decode(ids, unknown) == text
    words = vocabulary.split(text)
    assert len(words) == len(ids)
    assert [word for word, n in zip(words, ids, strict=True) if n == UNK] == unknown


def test_an_unknown_character_costs_a_choice_among_all_others():
    vocabulary = build_vocabulary(["ab"], CharField(unit="char"))
    assert vocabulary.encode("aΩb").tolist() == [4, UNK, 5]
    assert vocabulary.unknown_nats("aΩbΩ") == pytest.approx(2 * math.log(0x110000 - 2), rel=1e-12)


def test_lower_case_cannot_be_undone_and_is_charged_nothing_but_is_said():
    vocabulary = build_vocabulary(["The cat"], WordField(unit="word", lowercase=True))
    assert not vocabulary.invertible
    assert vocabulary.decode(vocabulary.encode("THE CAT")) == "the cat"
    assert vocabulary.unknown_nats("The dog") is None


@pytest.mark.parametrize("context", ["", "t", "th", "zz", "at", "qh", "then", START * 4, START * 3 + "t"])
def test_spelling_probabilities_sum_to_one(context):
    spelling = SpellingModel(["the", "then", "a", "bath"], "xyz")
    known = set("thenabxyz")
    assert sum(spelling.probability(symbol, context) for symbol in [*known, END, UNSEEN]) == pytest.approx(1)


def test_spelling_by_hand():
    spelling = SpellingModel(["a"])  # after no context a and END came once each; START.. was followed by a, then by END
    nothing = (1 + 2 / 3) / (2 + 2)  # 3 symbols: a, END, UNSEEN
    first, last = nothing, nothing
    for _ in range(ORDER - 1):
        first = (1 + first) / 2
        last = (1 + last) / 2
    assert spelling.nats("a") == pytest.approx(-math.log(first) - math.log(last))
    unseen = (0 + 2 / 3) / (2 + 2)
    for _ in range(ORDER - 1):
        unseen /= 2
    cost = -math.log(unseen / (0x110000 - 1)) - math.log(nothing)
    assert spelling.nats("Ω") == pytest.approx(cost)


def test_likely_spellings_cost_less():
    spelling = SpellingModel(["nation", "station", "ration", "action", "motion"])
    assert spelling.nats("lotion") < spelling.nats("nltoio")


def test_a_word_is_charged_for_each_time_it_is_unknown():
    vocabulary = build_vocabulary(["the the bath path"], WordField(unit="word", min_count=2))
    once, twice = vocabulary.unknown_nats("the math"), vocabulary.unknown_nats("math the math")
    assert once > 0
    assert twice == pytest.approx(2 * once)
    spelling = SpellingModel(["bath", "path", "the"], "the")
    assert once == pytest.approx(spelling.nats("math"))


def test_spelling_is_learned_from_the_rarest_words(monkeypatch, tmp_path):
    monkeypatch.setattr(word_module, "SPELLING_WORDS", 2)
    build_vocabulary(["a a a b b b c d d"], WordField(unit="word")).save(tmp_path, "text")
    assert json.loads((tmp_path / "text.json").read_text())["spelling"] == ["c", "d"]


def test_forgotten_chunks_change_nothing(monkeypatch):
    whole = build_vocabulary(TEXTS, WordField(unit="word"))
    monkeypatch.setattr(remembered_module, "KEPT_STRETCHES", 2)
    small = build_vocabulary(TEXTS, WordField(unit="word"))
    assert small.tokens(range(len(small))) == whole.tokens(range(len(whole)))
    for text in TEXTS:
        assert small.encode(text).tolist() == whole.encode(text).tolist()


def test_what_is_half_learned_is_forgotten():
    def encode(stretches):
        for stretch in stretches:
            if stretch == "bad" and not interrupted:
                interrupted.append(stretch)
                raise KeyboardInterrupt
            yield [len(stretch), 7]

    interrupted = []
    known = remembered_module.Remembered(encode)
    with pytest.raises(KeyboardInterrupt):
        known.rows(["a", "bad", "long"])
    ids, lengths = known.rows(["long", "bad", "a", "bad"])
    assert ids.tolist() == [4, 7, 3, 7, 1, 7, 3, 7] and lengths.tolist() == [2] * 4


def test_no_text_makes_no_subwords():
    with pytest.raises(UserError, match="no text to learn pieces from"):
        build_vocabulary([""], SubwordField(unit="subword", max_size=300))


def test_characters_without_room_are_an_error_that_says_how_many_there_are():
    with pytest.raises(UserError, match=r"unit subword: max_size is 261; the characters of the text alone need \d+"):
        build_vocabulary(TEXTS, SubwordField(unit="subword", max_size=261))


def test_long_texts_without_a_space_are_learned_from():
    vocabulary = build_vocabulary(["ab" * 20_000], SubwordField(unit="subword", max_size=300))
    assert len(vocabulary.encode("ab" * 100)) < 100
    assert vocabulary.decode(vocabulary.encode("ab" * 5000)) == "ab" * 5000


def test_a_large_text_is_sampled_evenly():
    lines = [f"line {n:04d}" for n in range(1000)]
    kept = subword_module._sample(Texts([lines]), 1000)
    assert sum(map(len, kept)) <= 1000
    assert len(kept) > 45
    assert len(set(np.diff([int(line.split()[1]) for line in kept]).tolist())) == 1
    assert subword_module._sample(Texts([lines]), 10**6) == lines


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(st.text("ab", min_size=1, max_size=9), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    characters=st.integers(1, 60),
)
def test_the_sample_is_every_second_or_fourth_line_however_the_text_is_cut(lines, cuts, characters):
    steps = (1 << n for n in range(10))
    wanted = next(lines[::n] for n in steps if sum(map(len, lines[::n])) <= characters or len(lines[::n]) <= 1)
    shards = [lines[start:end] for start, end in pairwise([0, *sorted(cuts), 40])]
    assert subword_module._sample(Texts(shards), characters) == wanted


@settings(max_examples=200, deadline=None)
@given(text=st.text("ab \n", max_size=60))
def test_lines_are_short_and_lose_nothing(text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subword_module, "LINE_CHARACTERS", 5)
        patch.setattr(subword_module, "_SHORT_LINES", re.compile(r"(?s).{1,5}(?= |\Z)|.{5}").findall)
        lines = list(subword_module._lines([text]))
    assert all(0 < len(line) <= 5 for line in lines)
    assert "".join(lines) == text.replace("\n", "")


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(ANY_TEXT | st.text("ab ▁\x1aé", max_size=20), min_size=1, max_size=5))
@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_pieces_are_as_good_as_those_of_the_library(model, texts):
    vocabulary = build_vocabulary(TEXTS, SubwordField(unit="subword", max_size=320, model=model))
    library = vocabulary._model
    ids, lengths = vocabulary.encode_many(texts)
    for text, row in zip(texts, np.split(ids, np.cumsum(lengths)[:-1]), strict=True):
        assert vocabulary.encode(text).tolist() == row.tolist()
        assert vocabulary.decode(row) == text
        wanted = library.encode(subword_module._escape(text))
        if model == "bpe":
            assert row.tolist() == wanted
        else:  # of equally good pieces others may be taken
            scores = [sum(map(library.get_score, found)) for found in (row.tolist(), wanted)]
            assert scores[0] == pytest.approx(scores[1], rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("unit", [{"unit": "word"}, {"unit": "word", "tokenizer": "whitespace", "min_count": 2}])
def test_words_are_looked_up_at_once_as_one_by_one(unit):
    """Which of both is done depends on how many there are."""
    vocabulary = build_vocabulary(TEXTS, WordField.model_validate(unit))
    words = pa.array(sorted({word for text in TEXTS for word in text.split()} | {"unseen", "un-seen", "no:"}))
    at_once = vocabulary.word_ids(words.cast(pa.large_string()))
    alone = [vocabulary.encode(word).tolist() for word in words.to_pylist()]
    assert (at_once >= 0).sum() > 5 and UNK in at_once
    assert all([found] == ids for found, ids in zip(at_once.tolist(), alone, strict=True) if found >= 0)


@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT)
def test_the_characters_of_pieces_add_up(tmp_path_factory, text):
    vocabulary = build_vocabulary(TEXTS, SubwordField(unit="subword", max_size=320))
    folder = tmp_path_factory.getbasetemp()
    vocabulary.save(folder, "pieces")
    characters = np.array(json.loads((folder / "pieces.json").read_text())["characters"])
    assert len(characters) == len(vocabulary)
    assert characters[vocabulary.encode(text)].sum() == len(text)


SCRIPT = """
import sys
from itertools import pairwise
from pathlib import Path
from unroll.text.shards import Texts
from unroll.text.settings import *
from unroll.text.vocabulary import build_vocabulary
texts = Path(sys.argv[1]).read_text(encoding="utf-8").split("|")
fields = [CharField(unit="char"), WordField(unit="word"), SubwordField(unit="subword", max_size=320)]
fields.append(SyllableField(unit="syllable", max_words=8, max_syllables=8, language="en_US"))
fields.append(HybridField(unit="hybrid", max_words=8))
for n, field in enumerate(fields):
    build_vocabulary(texts, field).save(Path(sys.argv[2]), str(n))
"""


def test_other_processes_write_the_same_bytes(tmp_path):
    (tmp_path / "texts").write_text("|".join(TEXTS * 20), encoding="utf-8")
    hashes = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        out.mkdir()
        subprocess.run(
            [sys.executable, "-c", SCRIPT, tmp_path / "texts", out],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": seed},
        )
        hashes.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(out).iterdir()})
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 6


def test_the_class_of_a_unit_is_found_by_name():
    assert isinstance(build_vocabulary(TEXTS, SubwordField(unit="subword", max_size=320)), SubwordVocabulary)


def test_a_folder_without_vocabularies_is_refused(tmp_path):
    with pytest.raises(UserError, match="build the vocabularies first"):
        load_vocabularies(tmp_path)
