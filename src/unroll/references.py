"""What entries of params.yaml say of each other: names that are not there, and what does not fit.

It looks at the data as it was written, as far as it can be read, so that it has its say whatever else is wrong.
"""

import re
from collections.abc import Generator, Iterator, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from unroll.evaluation.settings import BASELINES
from unroll.evaluation.words import language_code
from unroll.kinds import SCRATCH
from unroll.mistakes import Problem, did_you_mean
from unroll.text.settings import DatasetSettings
from unroll.text.sources import AnyCorpus
from unroll.text.sources.settings import SourceSettings

Entries = Mapping[Any, Any]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
FIELDS = {
    "language_model": {"text"},
    "seq2seq": {"source", "target"},
    "captioner": {"image", "target"},
    "ngram": {"text"},
}
WRITTEN = ("data/raw", "data/vocab", "data/encoded", "models", "results", "predictions", "report", "mlruns")
"""Folders that stages write to."""

T = TypeVar("T")
_CORPUS: TypeAdapter[SourceSettings] = TypeAdapter(AnyCorpus)
_DATASET = TypeAdapter(DatasetSettings)


def reference_problems(data: Any) -> Iterator[Problem]:
    """All mistakes of this sort in the whole file."""
    sections = ("corpora", "datasets", "runs", "combinations")
    corpora, datasets, runs, combinations = (entries(data, section) for section in sections)
    for section, there in zip(sections, (corpora, datasets, runs, combinations), strict=True):
        yield from _name_problems(section, there)
    for name, corpus in corpora.items():
        yield from _path_problems(name, corpus)
    for name, dataset in datasets.items():
        yield from _corpus_problems(name, dataset, corpora)
    yield from _init_problems(runs, datasets)
    for name, run in runs.items():
        yield from _dataset_problems(name, run, datasets)
    for name, combination in combinations.items():
        yield from _combination_problems(name, combination, runs, datasets)


def entries(data: Any, section: str) -> dict[Any, Any]:
    """The entries of a section as far as they are there; the schema complains about the rest."""
    found = data.get(section) if isinstance(data, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def _text(data: Any, key: str) -> str | None:
    """What a key says, if that is text."""
    value = data.get(key) if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else None


def _kind(run: Any) -> str | None:
    return _text(entries(run, "model"), "kind")


def _typed(schema: TypeAdapter[T], data: Any) -> T | None:
    """The settings in `data`, if they are right by themselves."""
    try:
        return schema.validate_python(data)
    except ValidationError:
        return None


def _name_problems(section: str, there: Entries) -> Iterator[Problem]:
    """Names that DVC, a shell, a file system or a table cannot bear."""
    for name in (name for name in there if isinstance(name, str)):
        if not NAME.fullmatch(name):
            yield Problem(
                (section, name),
                "a name may have letters, digits, - and _, 100 at most, and begins with a letter, "
                "since it becomes a folder and a DVC stage",
            )
        elif section == "runs" and name == SCRATCH:
            yield Problem((section, name), f"no run may be called {SCRATCH}: `init: {SCRATCH}` starts from no run")
        elif section in ("runs", "combinations") and name in BASELINES:
            yield Problem((section, name), f"no run may be called {name}: a baseline of the comparison is")


def _path_problems(name: str, corpus: Any) -> Iterator[Problem]:
    """Corpora that lie where stages write: DVC refuses, or never comes to an end."""
    path = PurePath(_text(corpus, "path") or "params.yaml")
    for folder in map(PurePath, WRITTEN):
        if path.is_relative_to(folder) or folder.is_relative_to(path):
            yield Problem(
                ("corpora", name, "path"),
                f"{str(path)!r} is not a place for what is given: stages write to {folder}; take a folder of its own",
            )
            return


def _corpus_problems(name: str, dataset: Any, corpora: Entries) -> Iterator[Problem]:
    """Datasets whose corpus is not there, or lacks a column."""
    stated = _text(dataset, "corpus")
    if stated is not None and stated not in corpora:
        where = ("datasets", name, "corpus")
        yield Problem(where, f"there is no corpus {stated!r}{did_you_mean(stated, corpora)}")
        return
    corpus = _typed(_CORPUS, corpora.get(stated))
    if corpus is None:
        return
    for field, settings in entries(dataset, "fields").items():
        column = _text(settings, "column")
        wanted = field if column is None else column
        if isinstance(settings, Mapping) and isinstance(wanted, str) and wanted not in corpus.column_names:
            yield Problem(
                ("datasets", name, "fields", field, *([] if column is None else ["column"])),
                f"{stated!r} has no column {wanted!r}{did_you_mean(wanted, corpus.column_names)}"
                + ("; state another `column`" if column is None else ""),
            )
        elif isinstance(wanted, str) and (field == "image") != (wanted in corpus.images):
            are = "texts" if field == "image" else "images"
            yield Problem(("datasets", name, "fields", field), f"column {wanted!r} of {stated!r} holds {are}")


def _init_problems(runs: Entries, datasets: Entries) -> Iterator[Problem]:
    """Starts that are no run, come back to where they began, or are from another kind or vocabulary."""
    starts = {name: init for name, run in runs.items() if (init := _text(run, "init")) not in (None, SCRATCH)}
    for name, init in starts.items():
        where = ("runs", name, "init")
        if init not in runs:
            yield Problem(where, f"there is no run {init!r}{did_you_mean(str(init), [SCRATCH, *runs])}")
            continue
        seen, start = [name], init
        while start in starts and start not in seen:
            seen.append(start)
            start = starts[start]
        if start == name:
            circle = " starts from ".join(map(str, [*seen, name]))
            yield Problem(where, f"{circle}; one of them should start from {SCRATCH}")
        elif sentence := _unlike(runs[name], runs[init], datasets):
            yield Problem(where, f"{init!r} {sentence}")


def _unlike(run: Any, start: Any, datasets: Entries) -> str | None:
    """Why a run cannot begin with the weights of another, as far as kind and vocabulary tell."""
    kind, other = _kind(run), _kind(start)
    if other == "ngram":
        return "is an n-gram model, which has no weights to start from"
    if kind in FIELDS and other in FIELDS and kind != other:
        return f"is a {other}, and this a {kind}; a warm start needs the same model"
    names = _text(run, "dataset"), _text(start, "dataset")
    mine, theirs = (_typed(_DATASET, datasets.get(name)) for name in names)
    if mine and theirs and (mine.corpus, mine.fields) != (theirs.corpus, theirs.fields):
        return f"has the vocabulary of {names[1]!r}, and this that of {names[0]!r}; a warm start needs the same one"
    return None


def _dataset_problems(name: str, run: Any, datasets: Entries) -> Iterator[Problem]:
    """Runs whose dataset is not there or does not fit."""
    dataset = _text(run, "dataset")
    if dataset is None:
        return
    if dataset not in datasets:
        where = ("runs", name, "dataset")
        yield Problem(where, f"there is no dataset {dataset!r}{did_you_mean(dataset, datasets)}")
        return
    fields, kind = entries(datasets[dataset], "fields"), _kind(run)
    yield from _unit_problems(name, run, fields)
    if kind == "language_model":
        yield from _cutoff_problems(name, run, entries(fields, "text"))
    if kind == "seq2seq":
        yield from _sharing_problems(name, run, fields)
        yield from _language_problems(name, run)
    if kind == "captioner":
        yield from _image_problems(name, run, entries(fields, "image"))
    needed = FIELDS.get(kind or "", set(fields))
    if fields and set(fields) != needed:
        yield Problem(
            ("runs", name, "dataset"),
            f"{dataset!r} has the fields {', '.join(map(str, fields))}; a {kind} needs {', '.join(sorted(needed))}",
        )


def _unit_problems(name: str, run: Any, fields: Entries) -> Iterator[Problem]:
    """Runs that cannot read a unit, lack or have what spells rare words, or draw pieces of what has none."""
    units = sorted({unit for field in fields.values() if (unit := _text(field, "unit"))})
    if not units:
        return
    kind, dataset, model = _kind(run), repr(run["dataset"]), entries(run, "model")
    has = f"{dataset} has unit {' and '.join(units)}"
    if "hybrid" in units:
        yield from _hybrid_problems(name, kind, dataset, model)
    elif kind == "language_model" and model.get("spelling") is not None:
        yield Problem(
            ("runs", name, "model", "spelling"),
            f"belongs to a dataset of unit hybrid, whose rare words are spelled; {has}",
        )
    elif kind == "seq2seq" and model.get("pointer") == "switch":
        yield Problem(
            ("runs", name, "model", "pointer"),
            f"switch copies words that the vocabulary lacks, which unit hybrid keeps; {has}; take hybrid, or "
            "pointer: mixture",
        )
    if entries(run, "train").get("sampling") is not None and "subword" not in units:
        yield Problem(("runs", name, "train", "sampling"), f"draws other pieces of words; {has}; it needs subword")
    if entries(run, "evaluate").get("replace_unknown") is True and units != ["word"]:
        yield Problem(
            ("runs", name, "evaluate", "replace_unknown"),
            f"puts words of the source in place of unknown ones; {has}; it needs word",
        )


def _hybrid_problems(name: str, kind: str | None, dataset: str, model: Entries) -> Iterator[Problem]:
    """Runs on a dataset of unit hybrid that lack what its rare words need."""
    rare = f"rare words of {dataset}, of unit hybrid, are"
    if kind == "language_model" and model.get("spelling") is None:
        yield Problem(
            ("runs", name, "model", "spelling"),
            f"is missing; {rare} read and written by character models: {{embedding: SIZE, hidden: SIZE}}",
        )
    elif kind == "seq2seq" and model.get("pointer") is None:
        yield Problem(
            ("runs", name, "dataset"),
            f"{rare} written by copying them from the source; state model.pointer, or take another unit",
        )
    elif kind in ("ngram", "captioner"):
        yield Problem(
            ("runs", name, "dataset"),
            f"{rare} read and written by character models, which kind: language_model has and kind: {kind} has not; "
            "take another unit",
        )


def _cutoff_problems(name: str, run: Any, text: Entries) -> Iterator[Problem]:
    """Clusters of an adaptive softmax in which no token would be."""
    cutoffs, size = entries(run, "model").get("adaptive_softmax"), text.get("max_size")
    last = cutoffs[-1] if isinstance(cutoffs, list) and cutoffs else None
    if isinstance(last, int) and isinstance(size, int) and last >= size:
        yield Problem(
            ("runs", name, "model", "adaptive_softmax"),
            f"should have cutoffs below the vocabulary's size, and {run['dataset']!r} keeps {size}; found {cutoffs}",
        )


def _image_problems(name: str, run: Any, image: Entries) -> Iterator[Problem]:
    """Encoders that do not fit the images."""
    channels, edge = entries(run, "model").get("channels"), image.get("edge")
    where, dataset = ("runs", name, "model", "channels"), repr(run["dataset"])
    if image.get("unit") == "pixels" and channels is None:
        yield Problem(where, f"is missing; {dataset} has unit pixels, which blocks of convolutions read: [32, 64, 128]")
    elif image.get("unit") == "features" and channels is not None:
        yield Problem(where, f"belongs to unit pixels; {dataset} has features, which no convolutions read")
    elif isinstance(channels, list) and isinstance(edge, int) and (edge % (1 << len(channels)) or len(channels) > 20):
        halved = f"each of the {len(channels)} blocks halves images"
        yield Problem(where, f"{halved}, and {edge}, the edge in {dataset}, is no multiple of {1 << len(channels)}")


def _sharing_problems(name: str, run: Any, fields: Entries) -> Iterator[Problem]:
    """What reads source and target by the same ids, on a dataset that has two vocabularies."""
    if any(isinstance(field, Mapping) and "share" in field for field in fields.values()):
        return
    for key in ("pointer", "candidates"):
        if entries(run, "model").get(key) is not None:
            yield Problem(
                ("runs", name, "model", key),
                f"needs a dataset whose fields share a vocabulary, and {run['dataset']!r} has two",
            )


def _language_problems(name: str, run: Any) -> Iterator[Problem]:
    """BLEU that finds words in one language where it selects and in another where it evaluates."""
    train = entries(run, "train")
    select = {"metric": train.get("select"), **entries(train, "select")}
    ours, theirs = (str(settings.get("language", "en")) for settings in (select, entries(run, "evaluate")))
    if select["metric"] == "bleu" and language_code(ours) != language_code(theirs):
        yield Problem(
            ("runs", name, "train", "select"),
            f"finds words in the language {ours}, evaluate in {theirs}; the same would be right: "
            f"{{metric: bleu, language: {theirs}}}",
        )


def _combination_problems(name: str, combination: Any, runs: Entries, datasets: Entries) -> Iterator[Problem]:
    """Combinations of runs that are not there, or do not go together."""
    where = ("combinations", name)
    if name in runs:
        yield Problem(where, "there is a run of this name, too; their results would share a folder")
    dataset = _text(combination, "dataset")
    if dataset is not None and dataset not in datasets:
        yield Problem((*where, "dataset"), f"there is no dataset {dataset!r}{did_you_mean(dataset, datasets)}")
    listed = combination.get("runs") if isinstance(combination, Mapping) else None
    kinds = ("seq2seq",) if "metric" in entries(combination, "evaluate") else ("language_model", "ngram")
    for member in listed if isinstance(listed, list) else []:
        if (yield from _is_of((*where, "runs"), member, runs, *kinds)) and _text(runs[member], "dataset") != dataset:
            found = _text(runs[member], "dataset")
            yield Problem((*where, "runs"), f"{member!r} is of dataset {found!r}, not {dataset!r}")
    for key in ("fusion", "rescoring"):
        if (partner := entries(combination, key).get("run")) is not None:
            yield from _is_of((*where, key, "run"), partner, runs, "language_model", "ngram")


def _is_of(where: tuple[str, ...], name: Any, runs: Entries, *kinds: str) -> Generator[Problem, None, bool]:
    """Whether there is a run of this name, of one of these kinds."""
    if not isinstance(name, str):
        return False  # which the schema tells
    if name not in runs:
        yield Problem(where, f"there is no run {name!r}{did_you_mean(name, runs)}")
    elif _kind(runs[name]) not in kinds:
        yield Problem(where, f"{name!r} is a {_kind(runs[name])}; should be a {' or '.join(kinds)}")
    else:
        return True
    return False
