"""What entries of params.yaml say of each other: names, columns, vocabularies, starts, places."""

import copy
from pathlib import PurePath

import pytest
from ruamel.yaml import YAML
from test_mistakes import FILES, HUB, ROOT, URL, told
from test_params import GOOD, change, load_data

from unroll.errors import UserError
from unroll.evaluation.baselines import baselines
from unroll.evaluation.settings import BASELINES
from unroll.references import WRITTEN

CHAR = {"unit": "char"}
SHA = "0" * 64


def pair_set(source: str | None, target: str | None, corpus: str = "mine") -> dict:
    columns = {"source": source, "target": target}
    fields = {name: {"unit": "word"} | ({"column": column} if column else {}) for name, column in columns.items()}
    return {"corpus": corpus, "fields": fields, "max_length": 9}


@pytest.mark.parametrize(
    ("corpus", "columns"),
    [
        (FILES, ["text"]),
        (FILES | {"columns": ["en", "de"]}, ["en", "de"]),
        (FILES | {"columns": {"en": "x.y", "de": "x.z"}}, ["en", "de"]),
        (FILES | {part: {"en": f"{part}.en", "de": f"{part}.de"} for part in ("train", "valid", "test")}, ["en", "de"]),
        (URL | {"urls": {"a": {"url": "https://a.b/c", "sha256": SHA}}}, ["text"]),
        (HUB, ["text"]),
        (HUB | {"columns": {"en": "t.en", "de": "t.de"}}, ["en", "de"]),
        (GOOD["corpora"]["docs"], ["text"]),
        (GOOD["corpora"]["docs"] | {"fields": ["body", "summary"]}, ["body", "summary"]),
        (GOOD["corpora"]["phrases"], ["en", "de"]),
    ],
)
def test_a_field_names_a_column_that_its_corpus_has(tmp_path, corpus, columns):
    """For every source, before anything is fetched."""
    there = f"(there are: {', '.join(columns)})"
    near = "; did you mean 'text'?" if columns == ["text"] else ""
    assert told(tmp_path, {"corpora/mine": corpus, "datasets/mine": pair_set("fr", None)}) == [
        f"datasets.mine.fields.source.column: 'mine' has no column 'fr' {there}",
        f"datasets.mine.fields.target: 'mine' has no column 'target'{near} {there}; state another `column`",
    ]
    data = change("corpora/mine", corpus)
    data["datasets"]["mine"] = pair_set(columns[0], columns[-1])
    assert load_data(tmp_path, data)


LSTM = GOOD["runs"]["char-lstm"]


@pytest.mark.parametrize(
    ("start", "datasets", "sentence"),
    [
        ("char-5gram", {}, "'char-5gram' is an n-gram model, which has no weights to start from"),
        ("translator", {}, "'translator' is a seq2seq, and this a language_model; a warm start needs the same model"),
        (
            "start",
            {"other": {"corpus": "docs", "fields": {"text": CHAR | {"min_count": 2}}, "max_length": 9}},
            "'start' has the vocabulary of 'other', and this that of 'docs-char'; a warm start needs the same one",
        ),
        (
            "start",
            {"other": {"corpus": "docs-2", "fields": {"text": CHAR}, "max_length": 9}},
            "'start' has the vocabulary of 'other', and this that of 'docs-char'",
        ),
        ("start", {"other": {"corpus": "docs", "fields": {"text": CHAR | {"min_count": 1}}, "max_length": 9}}, None),
    ],
)
def test_a_warm_start_that_cannot_be_is_told_before_anything_trains(tmp_path, start, datasets, sentence):
    data = copy.deepcopy(GOOD)
    data["corpora"]["docs-2"] = data["corpora"]["docs"]
    data["datasets"] |= datasets
    data["runs"]["start"] = LSTM | ({"dataset": "other"} if datasets else {})
    data["runs"]["warm"] = LSTM | {"init": start}
    if sentence is None:
        assert load_data(tmp_path, data)
        return
    with pytest.raises(UserError) as caught:
        load_data(tmp_path, data)
    (line,) = caught.value.problems
    assert line.startswith(f"params.yaml: runs.warm.init: {sentence}")


@pytest.mark.parametrize("path", [*WRITTEN, "data", ".", "./models/x", "data/raw/docs"])
def test_a_corpus_does_not_lie_where_stages_write(tmp_path, path):
    (line,) = told(tmp_path, {"corpora/docs/path": path})
    assert line.startswith(f"corpora.docs.path: {str(PurePath(path))!r} is not a place for what is given: stages write")


@pytest.mark.parametrize("path", ["data/mine", "../data/raw", "/data/raw", "data/rawer", "params.yaml"])
def test_a_corpus_may_lie_elsewhere(tmp_path, path):
    assert load_data(tmp_path, change("corpora/docs/path", path))


def test_the_folders_that_stages_write_to_are_those_of_the_pipeline():
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    found = set()
    for stage in stages.values():
        for kind in ("outs", "metrics", "plots"):
            for output in stage.get("do", stage).get(kind, ()):
                path = PurePath(output if isinstance(output, str) else next(iter(output)))
                found |= {folder for folder in WRITTEN if path.is_relative_to(folder)} or {str(path)}
    assert found == set(WRITTEN)


@pytest.mark.parametrize("name", BASELINES)
def test_no_run_is_called_like_a_baseline(tmp_path, name):
    """Its row of the comparison would take the place of the baseline's."""
    (line,) = told(tmp_path, {f"runs/{name}": LSTM})
    assert line == f"runs.{name}: no run may be called {name}: a baseline of the comparison is"


@pytest.mark.parametrize(("cutoffs", "refused"), [([300, 999], False), ([300, 1000], True)])
def test_cutoffs_are_below_the_size_of_the_vocabulary(tmp_path, cutoffs, refused):
    words = {"corpus": "docs", "fields": {"text": {"unit": "word", "max_size": 1000}}, "max_length": 9}
    data = change("datasets/words", words)
    data["runs"]["words"] = copy.deepcopy(LSTM) | {"dataset": "words"}
    data["runs"]["words"]["model"]["adaptive_softmax"] = cutoffs
    if not refused:
        assert load_data(tmp_path, data)
        return
    with pytest.raises(UserError) as error:
        load_data(tmp_path, data)
    assert list(error.value.problems) == [
        "params.yaml: runs.words.model.adaptive_softmax: should have cutoffs below the vocabulary's size, and 'words' "
        "keeps 1000; found [300, 1000]"
    ]


def test_these_are_the_baselines():
    assert tuple(baselines("rouge", ["a"], ["a"], ["b"])) == BASELINES


def test_a_pointer_needs_a_shared_vocabulary(tmp_path):
    data = change("runs/translator/model/pointer", "mixture")
    load_data(tmp_path, data)
    data["datasets"]["phrases-en-de"]["fields"]["target"] = {"column": "de", "unit": "word"}
    with pytest.raises(UserError, match=r"runs\.translator\.model\.pointer: needs a dataset whose fields share"):
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
    data["datasets"][data["runs"][run]["dataset"]]["fields"][field].update(unit)
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


COMBINED = {
    "dataset": "phrases-en-de",
    "runs": ["translator"],
    "fusion": {"run": "char-5gram", "weight": 0.1},
    "evaluate": {"metric": "bleu"},
}


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("char-lstm", {}, "combinations.char-lstm: there is a run of this name, too"),
        ("nearest", {}, "combinations.nearest: no run may be called nearest"),
        (
            "a",
            {"runs": ["translater"]},
            "combinations.a.runs: there is no run 'translater'; did you mean",
        ),
        ("a", {"runs": ["char-lstm"]}, "combinations.a.runs: 'char-lstm' is a language_model; should be a seq2seq"),
        ("a", {"dataset": "docs-char"}, "combinations.a.runs: 'translator' is of dataset 'phrases-en-de', not"),
        ("a", {"dataset": "docs"}, "combinations.a.dataset: there is no dataset 'docs'; did you mean 'docs-char'?"),
        ("a", {"fusion": None}, "combinations.a: combines nothing"),
        ("a", {"evaluate": {}}, "combinations.a.fusion: unknown key"),
        (
            "a",
            {"evaluate": {}, "runs": ["translator"]},
            "combinations.a.runs: 'translator' is a seq2seq; should be a language_model or ngram",
        ),
        ("a", {"runs": ["translator", "translator"]}, "combinations.a: `runs` names a run twice"),
        (
            "a",
            {"rescoring": {"run": "translator", "weight": 1.0}},
            "combinations.a.rescoring.run: 'translator' is a seq2seq; should be a language_model or ngram",
        ),
    ],
)
def test_combinations_are_of_runs_that_go_together(tmp_path, name, more, words):
    load_data(tmp_path, change("combinations/a", COMBINED))
    with pytest.raises(UserError) as caught:
        load_data(tmp_path, change(f"combinations/{name}", COMBINED | more))
    assert words in "\n".join(caught.value.problems)


def test_unknown_words_are_replaced_where_they_are_words(tmp_path):
    data = change("runs/translator/evaluate/replace_unknown", True)
    assert load_data(tmp_path, data).runs["translator"].evaluate.replace_unknown
    data["datasets"]["phrases-en-de"]["fields"]["source"] = {"column": "en", "unit": "subword", "max_size": 999}
    with pytest.raises(UserError, match=r"runs\.translator\.evaluate\.replace_unknown: .* has unit subword; it need"):
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
