"""params.yaml: what is right is typed, what is wrong is told, all at once."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from unroll.errors import UserError
from unroll.params import Params, load
from unroll.settings import Settings, inside

GOOD: dict[str, Any] = {
    "corpora": {
        "docs": {"source": "docstrings", "path": "requirements/lock.txt", "packages": ["numpy"]},
        "phrases": {
            "source": "phrasebook",
            "path": "src/unroll/text/sources/phrasebook",
            "languages": ["en", "de"],
        },
    },
    "datasets": {
        "docs-char": {"corpus": "docs", "fields": {"text": {"unit": "char"}}, "max_length": 256},
        "phrases-en-de": {
            "corpus": "phrases",
            "fields": {
                "source": {"column": "en", "unit": "word"},
                "target": {"column": "de", "share": "source"},
            },
            "max_length": 60,
        },
    },
    "combinations": {},
    "runs": {
        "char-lstm": {
            "dataset": "docs-char",
            "init": "scratch",
            "model": {"kind": "language_model", "cell": "lstm", "embedding": 8, "hidden": 16},
            "train": {"context": "stream", "bptt": 8, "batch_size": 4, "lr": 0.01, "steps": 5},
            "evaluate": {},
            "seed": 1,
        },
        "translator": {
            "dataset": "phrases-en-de",
            "init": "scratch",
            "model": {"kind": "seq2seq", "cell": "gru", "embedding": 8, "hidden": 16},
            "train": {"batch_size": 4, "lr": 0.01, "epochs": 1},
            "evaluate": {"metric": "bleu"},
            "seed": 1,
        },
        "char-5gram": {
            "dataset": "docs-char",
            "init": "scratch",
            "model": {"kind": "ngram", "order": 5},
            "train": {},
            "evaluate": {},
            "seed": 1,
        },
    },
}
MISSING = object()


def change(path: str, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    place = data
    for parent in parents:
        place = place[parent]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return data


def load_data(folder: Path, data: Any) -> Any:
    path = folder / "params.yaml"
    with path.open("w") as file:
        YAML().dump(data, file)
    return load(path)


def test_good_params_are_typed(tmp_path):
    params = load_data(tmp_path, GOOD)
    assert params.runs["char-lstm"].model.hidden == 16
    assert params.runs["char-lstm"].train.lr == 0.01
    assert params.runs["translator"].train.epochs == 1
    assert params.runs["char-5gram"].train.context == "text"
    assert params.datasets["phrases-en-de"].fields["target"].share == "source"
    assert params.compute.threads == 1


def test_the_shipped_params_are_good():
    assert load(Path(__file__).parent.parent / "params.yaml").runs


LM, LM_TRAIN = "runs/char-lstm/model", "runs/char-lstm/train"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (f"{LM_TRAIN}/lrr", 0.1, ["runs.char-lstm.train.lrr: unknown key; did you mean 'lr'?", "bptt"]),
        (f"{LM}/hiden", 3, ["runs.char-lstm.model.hiden: unknown key; did you mean 'hidden'?", "layers"]),
        ("corpora/docs/pakages", [], ["corpora.docs.pakages: unknown key; did you mean 'packages'?"]),
        ("datasets/docs-char/fields/text/min_cont", 2, ["datasets.docs-char.fields.text.min_cont", "'min_count'"]),
        ("rums", {}, ["rums: unknown key; did you mean 'runs'?"]),
        (f"{LM_TRAIN}/lr", "fast", ["runs.char-lstm.train.lr: should be a number, found 'fast' (str)"]),
        (f"{LM_TRAIN}/lr", -1.0, ["runs.char-lstm.train.lr: should be greater than 0, found -1.0"]),
        (f"{LM}/hidden", "16", ["runs.char-lstm.model.hidden: should be a", "integer, found '16' (str)"]),
        (f"{LM}/hidden", 1.5, ["runs.char-lstm.model.hidden: ", "found 1.5 (float)"]),
        (f"{LM}/dropout", 1, ["runs.char-lstm.model.dropout: should be less than 1, found 1"]),
        (f"{LM}/dropout", {"inputs": 0.1}, ["runs.char-lstm.model.dropout.inputs: unknown key; did you mean 'input'?"]),
        (
            f"{LM}/activation",
            "relu",
            ["runs.char-lstm.model: `activation` belongs to cell: elman and jordan, not lstm"],
        ),
        (
            f"{LM_TRAIN}/sampling",
            0.1,
            ["runs.char-lstm.train.sampling: draws other pieces", "'docs-char' has unit char; it needs subword"],
        ),
        (
            "runs/translator/train/sampling",
            0.1,
            ["runs.translator.train.sampling:", "'phrases-en-de' has unit word; it needs subword"],
        ),
        (f"{LM}/output", 5, ["runs.char-lstm.model: `output` belongs to cell: jordan, not lstm"]),
        (f"{LM}/projection", 16, ["runs.char-lstm.model: `projection` should be smaller than `hidden`, 16; found 16"]),
        (f"{LM}/residual_from", 2, ["runs.char-lstm.model: `residual_from` should be one of the 1 layers, found 2"]),
        (
            f"{LM}/bidirectional",
            True,
            ["runs.char-lstm.model: `bidirectional` lets a language model see the very tokens"],
        ),
        (f"{LM_TRAIN}/momentum", 0.9, ["runs.char-lstm.train: `momentum` belongs to optimizer: sgd"]),
        (f"{LM_TRAIN}/staircase", False, ["runs.char-lstm.train: `staircase` belongs to schedule: exponential"]),
        (f"{LM_TRAIN}/minutes", 3, ["runs.char-lstm.train: state one budget: `epochs`, `steps` or `minutes`"]),
        ("runs/char-lstm/init", MISSING, ["runs.char-lstm.init: is missing"]),
        ("runs/char-lstm/init", "char-lstn", ["runs.char-lstm.init: there is no run 'char-lstn'; did you mean"]),
        (
            "runs/char-lstm/init",
            "char-lstm",
            ["runs.char-lstm.init: char-lstm starts from char-lstm; one of them should"],
        ),
        ("runs/scratch", GOOD["runs"]["char-lstm"], ["runs.scratch: no run may be called scratch"]),
        (
            f"{LM}/cell",
            "lstn",
            ["runs.char-lstm.model.cell: should be 'elman', 'jordan', 'lstm' or 'gru', found 'lstn'"],
        ),
        (
            f"{LM}/kind",
            "n-gram",
            [
                "runs.char-lstm.model.kind: should be one of language_model, seq2seq, captioner, ngram, ",
                "found 'n-gram' (str); did you mean 'ngram'?",
            ],
        ),
        (
            f"{LM}/kind",
            MISSING,
            ["runs.char-lstm.model.kind: is missing; one of language_model, seq2seq, captioner, ngram"],
        ),
        ("runs/char-lstm/model", MISSING, ["runs.char-lstm.model: is missing"]),
        ("runs/char-lstm/model", "lstm", ["runs.char-lstm.model: should be a dictionary, found 'lstm' (str)"]),
        ("runs/char-lstm/seed", MISSING, ["runs.char-lstm.seed: is missing"]),
        ("runs/char-lstm/evaluate", None, ["runs.char-lstm.evaluate: ", "found nothing (null)"]),
        ("runs/char-lstm/dataset", "docs-chr", ["there is no dataset 'docs-chr'; did you mean 'docs-char'?"]),
        ("runs/char-lstm/dataset", "phrases-en-de", ["has the fields source, target; a language_model needs text"]),
        ("runs/char-5gram/model/order", 0, ["runs.char-5gram.model.order: should be greater than or equal to 1"]),
        ("runs/char-5gram/model/cell", "lstm", ["runs.char-5gram.model.cell: unknown key (there are: kind, order)"]),
        ("runs/char-5gram/train/lr", 0.1, ["runs.char-5gram.train.lr: unknown key (there are: context)"]),
        ("runs/char-5gram/train/context", "line", ["train.context: should be 'stream' or 'text', found 'line'"]),
        ("runs/char-5gram/train", MISSING, ["runs.char-5gram.train: is missing"]),
        ("runs/char-5gram/dataset", "phrases-en-de", ["has the fields source, target; a ngram needs text"]),
        ("runs/translator/dataset", "docs-char", ["has the fields text; a seq2seq needs source, target"]),
        ("datasets/docs-char/corpus", "dogs", ["there is no corpus 'dogs'; did you mean 'docs'?"]),
        (
            "datasets/docs-char/fields/text/unit",
            "subwords",
            ["datasets.docs-char.fields.text.unit: should be one of char, word, ", "did you mean 'subword'?"],
        ),
        (
            "datasets/docs-char/fields/text/unit",
            MISSING,
            ["fields.text.unit: is missing; one of char, word, ", ", or in its place `share` with another field"],
        ),
        (
            "datasets/phrases-en-de/fields/target/unit",
            "word",
            ["datasets.phrases-en-de.fields.target.unit: unknown key (there are: column, share)"],
        ),
        ("datasets/docs-char/max_length", 0, ["datasets.docs-char.max_length: should be greater than or equal to 1"]),
        (
            "datasets/docs-char/fields/text",
            {"unit": "syllable", "max_words": 9, "max_syllables": 9, "language": "english"},
            ["datasets.docs-char.fields.text.language: there is no hyphenation dictionary 'english'", "en_US"],
        ),
        (
            "corpora/docs/source",
            "docstring",
            ["corpora.docs.source: should be one of docstrings, phrasebook, ", "did you mean 'docstrings'?"],
        ),
        ("corpora/docs", "text.txt", ["corpora.docs: should be a dictionary, found 'text.txt' (str)"]),
        ("runs", None, ["runs: should be a dictionary, found nothing (null)"]),
        ("runs/1st", GOOD["runs"]["char-lstm"], ["runs.1st: a name may have letters, digits"]),
        ("runs/a.b", GOOD["runs"]["char-lstm"], ["runs.a.b: a name may have letters, digits"]),
        ("runs/x; rm", GOOD["runs"]["char-lstm"], ["runs.x; rm: a name may have letters, digits"]),
        ("datasets/a@b", GOOD["datasets"]["docs-char"], ["datasets.a@b: a name may have"]),
        ("corpora/42", GOOD["corpora"]["docs"], ["corpora.42: a name may have"]),
        (f"{LM_TRAIN}/epochs", 3, ["runs.char-lstm.train: state one budget: `epochs`, `steps` or"]),
        (f"{LM_TRAIN}/steps", MISSING, ["runs.char-lstm.train: state one budget"]),
        (f"{LM_TRAIN}/bptt", MISSING, ["runs.char-lstm.train: context: stream needs `bptt`"]),
        (f"{LM_TRAIN}/context", "text", ["runs.char-lstm.train: `bptt` belongs to context: stream"]),
        (f"{LM_TRAIN}/padding", "pack", ["runs.char-lstm.train: `padding` belongs to context: text, not stream"]),
        ("runs/translator/model/hidden", 15, ["runs.translator.model.hidden: should be a multiple of 2, found 15"]),
        ("compute", {"threads": 0}, ["compute.threads: should be greater than or equal to 1, found 0"]),
        ("compute", {"device": "tpu"}, ["compute.device: should be 'auto', 'cpu' or 'cuda', found 'tpu'"]),
    ],
)
def test_a_mistake_is_one_line_that_says_where_what_and_what_is_right(tmp_path, path, value, words):
    with pytest.raises(UserError) as caught:
        load_data(tmp_path, change(path, value))
    assert len(caught.value.problems) == 1, caught.value.problems
    (problem,) = caught.value.problems
    assert problem.startswith("params.yaml: ")
    assert "\n" not in problem
    for word in words:
        assert word in problem


def test_all_mistakes_are_told_at_once(tmp_path):
    data = change(f"{LM_TRAIN}/lr", "fast")
    data["runs"]["translator"]["model"]["hiden"] = 5
    data["runs"]["translator"]["dataset"] = "nowhere"
    data["datasets"]["docs-char"]["corpus"] = "nowhere"
    data["corpora"]["9"] = data["corpora"]["docs"]
    with pytest.raises(UserError) as caught:
        load_data(tmp_path, data)
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("runs: [", "not valid YAML in line"),
        ("runs: {}\nruns: {}\n", "duplicate key"),
        ("a: *nowhere", "undefined alias"),
        ("", "the file: "),
        ("- a\n- b\n", "the file: "),
        ("just text", "the file: "),
        ("a: \t{", "not valid YAML"),
        ("x: \x01", "not valid YAML"),
    ],
)
def test_what_is_no_params_file_is_refused(tmp_path, text, word):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load(path)
    assert word in str(caught.value)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(b"runs: \xff\xfe")
    with pytest.raises(UserError, match="not UTF-8 at byte 6"):
        load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        load(tmp_path / "params.yaml")


def all_settings(model: type[Settings]) -> set[type[Settings]]:
    """A settings class and all that are inside it."""
    found = {model}
    for field in model.model_fields.values():
        for part in inside(field.annotation):
            found |= all_settings(part)
    return found


@pytest.mark.parametrize("model", sorted(all_settings(Params), key=str), ids=lambda model: model.__qualname__)
def test_contradictions_are_rules(model):
    """A validator of a whole model tells its first problem alone, and none where a key is wrong."""
    assert set(model.__pydantic_decorators__.model_validators) == {"_tell_all"}


def test_no_key_is_one_that_the_run_cache_of_dvc_leaves_out():
    """It leaves every `size` and `nfiles` out of its key, in params too, and would give back what another size made."""
    known = {key for model in all_settings(Params) for key in model.model_fields}
    assert {"max_size", "pairs", "lr", "beam", "unit", "urls", "test"} <= known
    assert not known & {"size", "nfiles"}


def numbers(schema: Any) -> Iterator[dict[str, Any]]:
    """The numbers in a JSON schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "integer":
            yield schema
        for part in schema.values():
            yield from numbers(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from numbers(part)


@pytest.mark.parametrize("model", sorted(all_settings(Params), key=str), ids=lambda model: model.__qualname__)
def test_every_count_is_bounded_on_both_sides(model):
    """What is far too large is told by `unroll check`, and not by an overflow or a full memory hours later."""
    for key, schema in model.model_json_schema().get("properties", {}).items():
        for number in numbers(schema):
            assert {"minimum", "exclusiveMinimum"} & set(number), key
            assert number["maximum"] <= 2**63 - 1, key


def test_anchors_share_settings(tmp_path):
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML().dump(GOOD, file)
    text = path.read_text()
    text = text.replace("  char-lstm:\n", "  char-lstm: &small\n")
    text = text.replace("  translator:\n", "  char-gru:\n    <<: *small\n    seed: 7\n  translator:\n")
    path.write_text(text)
    params = load(path)
    assert params.runs["char-gru"].seed == 7
    assert params.runs["char-gru"].train == params.runs["char-lstm"].train
