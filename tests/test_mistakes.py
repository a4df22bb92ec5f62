"""How mistakes in params.yaml are told: each once, all together, whatever stands where something else should."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_params import GOOD, LM, LM_TRAIN, load_data

from unroll.errors import UserError

ROOT = Path(__file__).parent.parent
FILES = {"source": "files", "path": "data/mine", "train": "a.txt", "valid": "b.txt", "test": "c.txt"}
URL = {"source": "url", "path": "params.yaml", "train": "a.txt", "valid": "b.txt", "test": "c.txt"}
HUB = {"source": "hub", "path": "params.yaml", "dataset": "a/b", "revision": "0" * 40}


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The good parameters with other values, each at a path."""
    data = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *parents, last = path.split("/")
        place = data
        for parent in parents:
            place = place[parent]
        place[last] = value
    return data


def told(folder: Any, changes: dict[str, Any]) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_data(folder, changed(changes))
    assert all(line.isprintable() for line in caught.value.problems)
    return [line.removeprefix("params.yaml: ") for line in caught.value.problems]


@pytest.mark.parametrize("section", ["corpora", "datasets", "runs"])
@pytest.mark.parametrize("value", [None, [1], "text", 5, True], ids=str)
def test_an_entry_that_is_no_dictionary_is_told(tmp_path, section, value):
    (line,) = told(tmp_path, {f"{section}/broken": value})
    assert line.startswith(f"{section}.broken: should be a dictionary, found ")


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {
                f"{LM_TRAIN}/momentum": 0.9,
                f"{LM_TRAIN}/staircase": False,
                f"{LM_TRAIN}/padding": "pack",
                f"{LM_TRAIN}/epochs": 3,
            },
            [
                "runs.char-lstm.train: `momentum` belongs to optimizer: sgd, not adam",
                "runs.char-lstm.train: `staircase` belongs to schedule: exponential, not constant",
                "runs.char-lstm.train: `padding` belongs to context: text, not stream",
                "runs.char-lstm.train: state one budget: `epochs`, `steps` or `minutes`",
            ],
        ),
        (
            {
                f"{LM}/peepholes": 3,
                f"{LM}/projection": 9999,
                f"{LM}/activation": "relu",
                f"{LM}/residual_from": 9,
                f"{LM}/bidirectional": True,
                f"{LM}/embedding": "none",
                f"{LM}/tied": True,
            },
            [
                "runs.char-lstm.model.peepholes: should be a boolean, found 3 (int)",
                "runs.char-lstm.model: `activation` belongs to cell: elman and jordan, not lstm",
                "runs.char-lstm.model: `projection` should be smaller than `hidden`, 16; found 9999",
                "runs.char-lstm.model: `residual_from` should be one of the 1 layers, found 9",
                "runs.char-lstm.model: `bidirectional` lets a language model see the very tokens that it is to predict:"
                " its loss would go to zero and mean nothing; encoders (kind: seq2seq) read in both directions",
                "runs.char-lstm.model: `tied`, `vectors`, `dropout.words` and `spelling` need embeddings, and there are"
                " none: one-hot input",
            ],
        ),
        (
            {f"{LM}/hidden": "wide", f"{LM}/projection": 9, f"{LM}/residual_from": 2, f"{LM}/dropout": {"word": 1}},
            [
                "runs.char-lstm.model.hidden: should be an integer, found 'wide' (str)",
                "runs.char-lstm.model.dropout.word: unknown key; did you mean 'words'? (there are: words, input, "
                "between, output, recurrent, recurrent_drops, variational)",
                "runs.char-lstm.model: `residual_from` should be one of the 1 layers, found 2",
            ],
        ),
        (
            {
                "runs/translator/model/heads": 3,
                "runs/translator/model/past": "coverage",
                "runs/translator/model/activation": "relu",
                "runs/translator/model/decoder_layers": 0,
            },
            [
                "runs.translator.model.decoder_layers: should be greater than or equal to 1, found 0 (int)",
                "runs.translator.model: `activation` belongs to cell: elman and jordan, not gru",
                "runs.translator.model: `heads` belongs to attention: multi-head, not general",
                "runs.translator.model: `past: coverage` belongs to attention: additive, not general",
            ],
        ),
        (
            {"corpora/mine": FILES | {"valid": None, "split": {"test": 0.1}, "columns": ["a", "a"], "format": "docx"}},
            [
                "corpora.mine.format: should be 'auto', 'txt', 'jsonl', 'csv', 'tsv' or 'parquet', found 'docx' (str)",
                "corpora.mine: valid has neither files nor a part of `split`; give it one of the two",
                "corpora.mine: test has both files and a part of `split`; give it one of the two",
                "corpora.mine: columns must be named, each once",
            ],
        ),
        (
            {"corpora/mine": HUB | {"columns": ["a", "b", "a"], "split": {"valid": 0.5, "test": 0.6}, "licence": 5}},
            [
                "corpora.mine.licence: should be a string, found 5 (int)",
                "corpora.mine.split: valid and test together must be less than 1",
                "corpora.mine: columns must be named, each once",
            ],
        ),
        (
            {
                "datasets/phrases-en-de/fields/source/share": "source",
                "datasets/phrases-en-de/max_length": 0,
                "datasets/phrases-en-de/fields/source/unit": "word",
            },
            [
                "datasets.phrases-en-de.fields.source.unit: unknown key (there are: column, share)",
                "datasets.phrases-en-de.max_length: should be greater than or equal to 1, found 0 (int)",
            ],
        ),
        (
            {
                "datasets/phrases-en-de/fields": {"source": {"share": "target"}, "target": {"share": "sauce"}},
                "datasets/phrases-en-de/max_length": 0,
            },
            [
                "datasets.phrases-en-de.max_length: should be greater than or equal to 1, found 0 (int)",
                "datasets.phrases-en-de: fields.source: it shares the vocabulary of 'target', which has none of its "
                "own; one of the two needs a `unit`",
                "datasets.phrases-en-de: fields.target: `share` should name another field; there is no 'sauce'",
                "datasets.phrases-en-de.fields.source: 'phrases' has no column 'source' (there are: en, de); "
                "state another `column`",
                "datasets.phrases-en-de.fields.target: 'phrases' has no column 'target' (there are: en, de); "
                "state another `column`",
            ],
        ),
    ],
)
def test_contradictions_are_told_at_once_and_beside_wrong_values(tmp_path, changes, lines):
    assert told(tmp_path, changes) == lines


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {"corpora/mine": FILES | {"train": 5}},
            ["corpora.mine.train: should be a string, a list or a dictionary, found 5 (int)"],
        ),
        (
            {"corpora/mine": FILES | {"train": {"de": 5}, "valid": {"de": "x"}, "test": {"de": "y"}}},
            ["corpora.mine.train.de: should be a string or a list, found 5 (int)"],
        ),
        (
            {"corpora/mine": FILES | {"train": ["a", "**a.txt", 5]}},
            [
                "corpora.mine.train.1: '**a.txt' must be a path below `path`, in which ** stands alone between slashes",
                "corpora.mine.train.2: should be a string, found 5 (int)",
            ],
        ),
        (
            {"corpora/mine": FILES | {"test": None, "split": {"test": 2}}},
            ["corpora.mine.split.test: should be less than 1 or 'valid', found 2 (int)"],
        ),
        (
            {"corpora/mine": URL | {"urls": {"a/b": {"url": "ftp://x", "sha256": "abc"}}}},
            [
                "corpora.mine.urls.a/b: a file name here has letters, digits, ., - and _, and begins with a "
                "letter or digit",
                "corpora.mine.urls.a/b.url: 'ftp://x' must begin with https://",
                "corpora.mine.urls.a/b.sha256: should be the 64 digits (0-9, a-f) of a SHA-256, found 'abc'",
            ],
        ),
        (
            {"corpora/mine": HUB | {"revision": "main", "columns": []}},
            [
                "corpora.mine.revision: should be the 40 digits (0-9, a-f) of a commit, found 'main'",
                "corpora.mine.columns: should not be empty",
            ],
        ),
        (
            {"corpora/phrases/languages": ["en"]},
            ["corpora.phrases: `languages` should be [en, de] or [de, en], found [en]"],
        ),
        (
            {f"{LM}/vectors": {"path": "x", "sha256": "0" * 64, "sha": 1}},
            ["runs.char-lstm.model.vectors.sha: unknown key; did you mean 'sha256'? (there are: path, sha256)"],
        ),
        ({"corpora/docs/packages": []}, ["corpora.docs.packages: should not be empty"]),
        ({f"{LM}/dropout": 1.5}, ["runs.char-lstm.model.dropout: should be less than 1, found 1.5 (float)"]),
        ({"compute": {42: 1}}, ["compute.42: the key should be text, found 42 (int)"]),
        (
            {"runs": {42: GOOD["runs"]["char-lstm"]}},
            ["runs.42: the key should be text, found 42 (int)"],
        ),
    ],
)
def test_a_mistake_is_told_in_our_words(tmp_path, changes, lines):
    assert told(tmp_path, changes) == lines


def test_what_entries_share_is_told_once(tmp_path):
    again = copy.deepcopy(GOOD["runs"]["char-lstm"])
    again["train"]["batch_size"] = 0
    lines = told(tmp_path, {f"{LM_TRAIN}/batch_size": 0, "runs/second": again, "runs/third": again})
    assert lines == [
        "runs.char-lstm.train.batch_size: should be greater than or equal to 1, found 0 (int) (the same in second, "
        "third)"
    ]


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "a\x1b[31mb", "x" * 101])
def test_a_name_that_cannot_be_shown_is_escaped(tmp_path, name):
    (line,) = told(tmp_path, {f"runs/{name}": GOOD["runs"]["char-lstm"]})
    assert "a name may have letters, digits, - and _, 100 at most" in line


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested dictionaries and lists."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


COMBINED = {"dataset": "phrases-en-de", "runs": ["translator"], "fusion": {"run": "char-lstm", "weight": 0.5}}
WHOLE = GOOD | {
    "corpora": GOOD["corpora"] | {"files": FILES, "hub": HUB, "url": URL},
    "combinations": {"both": COMBINED | {"evaluate": {"metric": "bleu"}}},
}
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["char-lstm", "docs", "docs-char", "source", "share", "ngram", "hybrid", "word", "scratch"])
)
keys = st.sampled_from(["unit", "share", "kind", "model", "fields", "init", "corpus", "x"]) | st.text(max_size=3)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | scalars, inner, max_size=4),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(places(WHOLE)), values, keys | st.none()), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_anything_anywhere_is_told_or_fine(tmp_path_factory, changes):
    """A value is put in the place of another, or added beside it: the only thing raised is what tells the mistakes."""
    data: Any = copy.deepcopy(WHOLE)
    for path, value, key in changes:
        parent, last = None, None
        place = data
        for part in path:
            if not isinstance(place, dict | list) or (isinstance(place, dict) and part not in place):
                break
            if isinstance(place, list) and not (isinstance(part, int) and part < len(place)):
                break
            parent, last, place = place, part, place[part]
        if key is not None and isinstance(place, dict):
            place[key] = value
        elif parent is not None:
            parent[last] = value
    try:
        load_data(tmp_path_factory.getbasetemp(), data)
    except UserError as error:
        assert error.problems
        assert all(line.isprintable() and line.startswith("params.yaml: ") for line in error.problems)
