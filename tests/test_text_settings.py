"""What a dataset may say in params.yaml, and how mistakes are told."""

import pytest
from pydantic import ValidationError

from unroll.text.settings import (
    CharSettings,
    DatasetSettings,
    HybridSettings,
    SharedField,
    SubwordSettings,
    SyllableSettings,
    WordSettings,
)

CHAR = {"unit": "char"}
SYLLABLE = {"unit": "syllable", "max_words": 10, "max_syllables": 5, "language": "en_US"}


def make(fields, **more):
    return DatasetSettings(**{"corpus": "c", "fields": fields, "max_length": 10} | more)


@pytest.mark.parametrize(
    ("field", "unit"),
    [
        (CHAR, CharSettings(unit="char", min_count=1)),
        ({"unit": "word"}, WordSettings(unit="word", max_size=None, min_count=1, tokenizer="joiner", lowercase=False)),
        ({"unit": "word", "column": "body", "max_size": 9}, WordSettings(unit="word", max_size=9)),
        ({"unit": "subword", "max_size": 300}, SubwordSettings(unit="subword", max_size=300, model="unigram")),
        ({"unit": "hybrid", "max_words": 9}, HybridSettings(unit="hybrid", max_words=9, min_count=2, min_char_count=1)),
        (SYLLABLE, SyllableSettings(unit="syllable", max_words=10, max_syllables=5, language="en_US", min_count=1)),
    ],
)
def test_a_field_is_a_unit_and_a_column(field, unit):
    settings = make({"text": field})
    assert settings.unit("text") == unit
    assert type(settings.unit("text")) is type(unit)
    assert settings.column("text") == field.get("column", "text")
    assert settings.owners == {"text": "text"}


@pytest.mark.parametrize(("owner", "other"), [("source", "target"), ("target", "source")])
def test_a_vocabulary_is_shared_either_way(owner, other):
    settings = make({owner: CHAR, other: {"share": owner, "column": "en"}})
    assert isinstance(settings.fields[other], SharedField)
    assert settings.owners == {owner: owner, other: owner}
    assert settings.column(other) == "en"


def test_settings_survive_their_own_dump():
    settings = make({"source": {"unit": "word", "max_size": 5}, "target": {"share": "source"}})
    assert DatasetSettings.model_validate(settings.model_dump()) == settings


@pytest.mark.parametrize(
    ("field", "place", "words"),
    [
        ({"unit": "word", "sizes": 3}, ("word", "sizes"), "Extra inputs"),
        ({"unit": "word", "max_size": 0}, ("word", "max_size"), "greater than or equal to 1"),
        ({"unit": "word", "max_size": "10"}, ("word", "max_size"), "valid integer"),
        ({"unit": "word", "tokenizer": "moses"}, ("word", "tokenizer"), "'joiner' or 'whitespace'"),
        ({"unit": "char", "max_size": 3}, ("char", "max_size"), "Extra inputs"),
        ({"unit": "char", "min_count": 0}, ("char", "min_count"), "greater than or equal to 1"),
        ({"unit": "subword"}, ("subword", "max_size"), "Field required"),
        ({"unit": "subword", "max_size": 260}, ("subword", "max_size"), "greater than 260"),
        ({"unit": "subword", "max_size": 300, "model": "wordpiece"}, ("subword", "model"), "'unigram' or 'bpe'"),
        ({"unit": "syllable", "max_words": 1, "max_syllables": 1}, ("syllable", "language"), "Field required"),
        (SYLLABLE | {"language": "en-US"}, ("syllable", "language"), "dictionary 'en-US'; did you mean 'en_US'?"),
        (SYLLABLE | {"language": "xx"}, ("syllable", "language"), "dictionary 'xx' (there are: af, af_ZA, "),
        (SYLLABLE | {"language": ""}, ("syllable", "language"), "no hyphenation dictionary ''"),
        (SYLLABLE | {"max_words": -1}, ("syllable", "max_words"), "greater than or equal to 0"),
        (SYLLABLE | {"max_syllables": None}, ("syllable", "max_syllables"), "valid integer"),
        (SYLLABLE | {"words": 3}, ("syllable", "words"), "Extra inputs"),
        ({"share": "target", "unit": "char"}, ("shared", "unit"), "Extra inputs"),
        ({"unit": "char", "column": ""}, ("char", "column"), "at least 1 character"),
        ({"unit": "hybrid"}, ("hybrid", "max_words"), "Field required"),
        ({"unit": "hybrid", "max_words": 9, "min_count": 1}, ("hybrid", "min_count"), "greater than or equal to 2"),
        (
            {"unit": "words"},
            (),
            "one of char, word, subword, syllable, hybrid, pixels, features, or in its place `share`",
        ),
        ({}, (), "one of char, word, subword, syllable, hybrid, pixels, features, or in its place `share`"),
        ("char", (), "one of char, word, subword, syllable, hybrid, pixels, features, or in its place `share`"),
        (None, (), "one of char, word, subword, syllable, hybrid, pixels, features, or in its place `share`"),
    ],
)
def test_a_mistake_in_a_field_is_told_once_where_it_is(field, place, words):
    with pytest.raises(ValidationError) as caught:
        make({"source": field, "target": CHAR})
    (error,) = caught.value.errors()
    assert error["loc"] == ("fields", "source", *place)
    assert words in error["msg"]


@pytest.mark.parametrize("max_length", [0, -1, 1.5, "10", None])
def test_a_length_is_a_positive_number(max_length):
    with pytest.raises(ValidationError):
        make({"text": CHAR}, max_length=max_length)
