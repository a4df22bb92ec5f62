"""params.yaml: what is right is typed, what is wrong is told, all at once."""

import copy
from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML

from unroll import mistakes
from unroll.errors import UserError
from unroll.params import Params, load

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
            ["runs.char-lstm.train.sampling: draws other pieces", "'docs-char' has the unit char; it needs subword"],
        ),
        (
            "runs/translator/train/sampling",
            0.1,
            ["runs.translator.train.sampling:", "'phrases-en-de' has the unit word; it needs subword"],
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
        (f"{LM}/kind", "transformer", ["runs.char-lstm: model.kind should be one of language_model, seq2seq"]),
        (f"{LM}/kind", MISSING, ["runs.char-lstm: model.kind should be one of"]),
        ("runs/char-lstm/model", MISSING, ["runs.char-lstm: model.kind should be one of"]),
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
        ("datasets/docs-char/fields/text/unit", "chars", ["datasets.docs-char.fields.text", "char"]),
        ("datasets/docs-char/max_length", 0, ["datasets.docs-char.max_length: should be greater than or equal to 1"]),
        (
            "datasets/docs-char/fields/text",
            {"unit": "syllable", "max_words": 9, "max_syllables": 9, "language": "english"},
            ["datasets.docs-char.fields.text.language: there is no hyphenation dictionary 'english'", "en_US"],
        ),
        ("corpora/docs/source", "docstring", ["corpora.docs", "docstring", "phrasebook"]),
        ("corpora/docs", "text.txt", ["corpora.docs: "]),
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
        (f"{LM_TRAIN}/padding", "pack", ["runs.char-lstm.train: `padding: pack` belongs to context: text"]),
        ("runs/translator/model/hidden", 15, ["runs.translator.model.hidden: should be a multiple of 2, found 15"]),
        ("runs/translator/evaluate/beam", 0, ["runs.translator.evaluate.beam: should be greater than or equal to 1"]),
        (
            "runs/translator/evaluate",
            {"metric": "bleu", "min_length": 9, "max_length": 5},
            ["runs.translator.evaluate: `min_length` should be at most `max_length`, 5; found 9"],
        ),
        (
            "runs/translator/evaluate",
            {"metric": "bleu", "sample": {"top_k": 5}},
            ["runs.translator.evaluate: `sample` draws each token", "state beam: 1, found 5"],
        ),
        (
            "runs/translator/evaluate",
            {"metric": "bleu", "beam": 1, "sample": {"top_p": 1.5}},
            ["runs.translator.evaluate.sample.top_p: should be less than or equal to 1, found 1.5"],
        ),
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


def test_a_pointer_needs_a_shared_vocabulary(tmp_path):
    data = change("runs/translator/model/pointer", "mixture")
    load_data(tmp_path, data)
    data["datasets"]["phrases-en-de"]["fields"]["target"] = {"column": "de", "unit": "word"}
    with pytest.raises(UserError, match=r"runs\.translator\.model\.pointer: needs a dataset whose fields share"):
        load_data(tmp_path, data)


@pytest.mark.parametrize("select", ["bleu", {"metric": "bleu"}, {"metric": "bleu", "language": "de"}])
def test_bleu_finds_words_in_one_language_where_it_selects_and_where_it_evaluates(tmp_path, select):
    data = change("runs/translator/train/select", select)
    data["runs"]["translator"]["evaluate"]["language"] = "zh"
    with pytest.raises(UserError, match=r"runs\.translator\.train\.select: .* \{metric: bleu, language: zh\}"):
        load_data(tmp_path, data)
    for right in ("loss", "rouge", {"metric": "bleu", "language": "zh_TW"}):
        data["runs"]["translator"]["train"]["select"] = right
        assert load_data(tmp_path, data).runs["translator"].train.select.metric in str(right)


def test_unknown_words_are_replaced_where_they_are_words(tmp_path):
    data = change("runs/translator/evaluate/replace_unknown", True)
    assert load_data(tmp_path, data).runs["translator"].evaluate.replace_unknown
    data["datasets"]["phrases-en-de"]["fields"]["source"] = {"column": "en", "unit": "subword", "max_size": 99}
    with pytest.raises(
        UserError, match=r"runs\.translator\.evaluate\.replace_unknown: .* has the unit subword; it need"
    ):
        load_data(tmp_path, data)


HYBRID, SPELLING = {"unit": "hybrid", "max_words": 9}, {"embedding": 4, "hidden": 8}


@pytest.mark.parametrize(
    ("run", "unit", "spelling", "words"),
    [
        (
            "char-lstm",
            HYBRID,
            None,
            "runs.char-lstm.model.spelling: is missing; rare words of 'docs-char', of unit hybrid",
        ),
        ("char-lstm", {"unit": "char"}, SPELLING, "spelling: belongs to a dataset of unit hybrid"),
        ("char-lstm", HYBRID, {"embedding": 4}, "runs.char-lstm.model.spelling.hidden: is missing"),
        ("char-5gram", HYBRID, None, "runs.char-5gram.dataset: rare words of 'docs-char', of unit hybrid"),
        ("translator", HYBRID, None, "runs.translator.dataset: rare words of 'phrases-en-de', of unit hybrid"),
    ],
)
def test_spelling_belongs_to_the_unit_hybrid(tmp_path, run, unit, spelling, words):
    data = copy.deepcopy(GOOD)
    data["runs"] = {run: data["runs"][run]}
    field = "source" if run == "translator" else "text"
    data["datasets"][data["runs"][run]["dataset"]]["fields"][field] = unit
    if spelling is not None:
        data["runs"][run]["model"]["spelling"] = spelling
    with pytest.raises(UserError) as caught:
        load_data(tmp_path, data)
    (problem,) = caught.value.problems
    assert words in problem


def test_a_hybrid_run_is_typed(tmp_path):
    data = change("datasets/docs-char/fields/text", HYBRID)
    data["runs"] = {"char-lstm": data["runs"]["char-lstm"]}
    data["runs"]["char-lstm"]["model"]["spelling"] = SPELLING
    assert load_data(tmp_path, data).runs["char-lstm"].model.spelling.hidden == 8
    data["runs"]["char-lstm"]["model"]["embedding"] = "none"
    with pytest.raises(UserError, match="and `spelling` need embeddings"):
        load_data(tmp_path, data)


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


def keys(model: Any) -> set[str]:
    """All keys of a settings class and of those inside it."""
    found = set(model.model_fields)
    for field in model.model_fields.values():
        for inner in mistakes._models(field.annotation) + [
            one for value in get_args(field.annotation) for one in mistakes._models(value)
        ]:
            found |= keys(inner)
    return found


def test_no_key_is_one_that_the_run_cache_of_dvc_leaves_out():
    """It leaves every `size` and `nfiles` out of its key, in params too, and would give back what another size made."""
    known = keys(Params)
    assert {"max_size", "pairs", "lr", "beam", "unit"} <= known
    assert not known & {"size", "nfiles"}


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
