"""The phrasebook: one German sentence for each English one, and a fair test of new combinations."""

import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache

import pytest
from pydantic import ValidationError

from unroll.text.sources.phrasebook import CorpusSettings, read, splits
from unroll.text.sources.phrasebook.lexicon import NOUN, VERB, nouns_for
from unroll.text.sources.phrasebook.sampler import WORDS, Sampler
from unroll.text.sources.phrasebook.sentences import Sentence

SIZE = 30_000


@cache
def corpus(seed: int = 1) -> dict[str, list[Sentence]]:
    return splits.divide(SIZE, seed)


def test_german_is_a_function_of_english() -> None:
    sampler, translation = Sampler(5), {}
    for _ in range(40_000):
        sentence = sampler.draw()
        assert translation.setdefault(sentence.english, sentence.german) == sentence.german


def test_sentences_look_like_sentences() -> None:
    for part in corpus().values():
        for sentence in part:
            for text in (sentence.english, sentence.german):
                assert len(text.split()) in WORDS
                assert text[0].isupper()
                assert text[-1] in ".?" and text.count(text[-1]) == 1
                assert "  " not in text and " ," not in text and text[-2] != ","


def test_splits_have_their_sizes_and_no_sentence_twice() -> None:
    parts = corpus()
    assert {name: len(part) for name, part in parts.items()} == {"train": 27_750, "valid": 1_000, "test": 1_250}
    assert len({sentence.english for part in parts.values() for sentence in part}) == SIZE


def test_held_out_combinations_are_in_the_test_alone() -> None:
    kept_back = splits.held_out(1)
    shown = {name: [kept_back & set(s.combinations) for s in part] for name, part in corpus().items()}
    assert not any(shown["train"]) and not any(shown["valid"])
    assert all(shown["test"])
    seen = set().union(*shown["test"])
    assert len(seen) > len(kept_back) / 2
    assert any(what in NOUN for _, what in seen) and any(what not in NOUN for _, what in seen)


@pytest.mark.parametrize("seed", [1, 2])
def test_training_knows_every_word_of_the_test(seed: int) -> None:
    parts = corpus(seed)
    for language in ("english", "german"):
        known = {word for sentence in parts["train"] for word in splits.words(getattr(sentence, language))}
        asked = {word for sentence in parts["test"] for word in splits.words(getattr(sentence, language))}
        assert asked <= known


def test_what_is_held_out_in_pairs_is_frequent_in_training_by_itself() -> None:
    train = [combination for sentence in corpus()["train"] for combination in sentence.combinations]
    by_verb, by_other = Counter(name for name, _ in train), Counter(other for _, other in train)
    for name, other in splits.held_out(1):
        assert by_verb[name] >= 100, name
        assert by_other[other] >= 15, other


def test_a_noun_of_few_verbs_is_not_held_out() -> None:
    takers = Counter(noun.english for entry in VERB.values() for noun in nouns_for(entry.objects))
    for seed in range(20):
        kept_back = Counter(other for _, other in splits.held_out(seed) if other in NOUN)
        assert all(3 * count <= takers[noun] for noun, count in kept_back.items())


def test_each_seed_holds_out_something_else() -> None:
    assert splits.held_out(1) == splits.held_out(1) != splits.held_out(2)


def test_a_new_process_with_other_hashes_reads_the_same_rows() -> None:
    program = (
        "import json; from unroll.text.sources.phrasebook import CorpusSettings, read;"
        "s = CorpusSettings(source='phrasebook', path='.', languages=['en', 'de'], pairs=300, seed=4);"
        "print(json.dumps(list(read(s).rows)))"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(json.loads(outputs[0])) == 300


def settings(**changes: object) -> CorpusSettings:
    return CorpusSettings.model_validate(
        {"source": "phrasebook", "path": ".", "languages": ["en", "de"], "pairs": 100} | changes
    )


def test_columns_follow_the_languages() -> None:
    forth, back = read(settings()), read(settings(languages=["de", "en"]))
    assert forth.columns == ("en", "de") and back.columns == ("de", "en")
    assert [(split, texts[::-1]) for split, texts in back.rows] == list(forth.rows)


@pytest.mark.parametrize("size", [10, 47, 100])
def test_a_small_corpus_has_all_splits(size: int) -> None:
    counts = Counter(split for split, _ in read(settings(pairs=size)).rows)
    assert set(counts) == {"train", "valid", "test"} and counts.total() == size


@pytest.mark.parametrize(
    "wrong",
    [
        {"languages": ["en", "en"]},
        {"languages": ["en"]},
        {"languages": ["en", "fr"]},
        {"pairs": 9},
        {"pairs": splits.MOST + 1},
        {"seed": -5},
    ],
)
def test_settings_that_make_no_corpus_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


@pytest.mark.slow
def test_the_phrasebook_gives_as_much_as_it_says() -> None:
    parts = splits.divide(splits.MOST, 1)
    assert len({sentence.english for part in parts.values() for sentence in part}) == splits.MOST


def test_no_combination_is_most_of_the_test() -> None:
    divided, kept_back = corpus(), splits.held_out(1)
    asked = Counter(c for sentence in divided["test"] for c in kept_back.intersection(sentence.combinations))
    share = 2 * len(divided["test"]) / len(kept_back)
    assert max(asked.values()) <= share + 1
    assert len(asked) > 0.9 * len(kept_back)
