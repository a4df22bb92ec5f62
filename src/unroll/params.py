"""params.yaml: the schema, put together from the settings that stand beside each component."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, Tag, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from unroll.errors import UserError
from unroll.evaluation.settings import LanguageModelEvaluation, PairEvaluation
from unroll.evaluation.words import language_code
from unroll.kinds import SCRATCH
from unroll.kinds.language_model.settings import LanguageModelBatches, LanguageModelSettings
from unroll.kinds.ngram.settings import NgramSettings, NgramTraining
from unroll.kinds.seq2seq.settings import Seq2SeqBatches, Seq2SeqSettings
from unroll.mistakes import did_you_mean, readable
from unroll.nn.device import ComputeSettings
from unroll.settings import Settings
from unroll.text.settings import DatasetSettings
from unroll.text.sources import AnyCorpus
from unroll.training.settings import TrainSettings

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
FIELDS = {"language_model": {"text"}, "seq2seq": {"source", "target"}, "ngram": {"text"}}


class LanguageModelTraining(LanguageModelBatches, TrainSettings):
    """`runs.RUN.train` of a recurrent language model."""


class Seq2SeqTraining(Seq2SeqBatches, TrainSettings):
    """`runs.RUN.train` of an encoder-decoder."""


class TrainedRun(Settings):
    """What every run has."""

    dataset: str
    """Name of an entry of `datasets`."""
    init: str
    """`scratch`, or the run whose weights training starts from."""
    seed: int = Field(ge=0)
    """Decides first weights, dropout and the order of the data."""


class LanguageModelRun(TrainedRun):
    """A recurrent language model trained on a dataset with the field `text`."""

    model: LanguageModelSettings
    train: LanguageModelTraining
    evaluate: LanguageModelEvaluation


class Seq2SeqRun(TrainedRun):
    """An encoder-decoder trained on a dataset with the fields `source` and `target`."""

    model: Seq2SeqSettings
    train: Seq2SeqTraining
    evaluate: PairEvaluation


class NgramRun(TrainedRun):
    """An n-gram language model estimated from a dataset with the field `text`; its seed decides nothing."""

    init: Literal["scratch"]
    """An n-gram model is counted anew."""
    model: NgramSettings
    train: NgramTraining
    evaluate: LanguageModelEvaluation


def _kind(run: Any) -> str | None:
    if isinstance(run, Mapping):
        model = run.get("model")
        return str(model.get("kind")) if isinstance(model, Mapping) else None
    return str(run.model.kind)


Run = Annotated[
    Annotated[LanguageModelRun, Tag("language_model")]
    | Annotated[Seq2SeqRun, Tag("seq2seq")]
    | Annotated[NgramRun, Tag("ngram")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="model.kind should be one of language_model, seq2seq, ngram",
    ),
]


class Params(Settings):
    """All that a person says."""

    corpora: dict[str, AnyCorpus]
    """Where text comes from."""
    datasets: dict[str, DatasetSettings]
    """A corpus seen through vocabularies."""
    runs: dict[str, Run]
    """Models trained on datasets."""
    compute: ComputeSettings = ComputeSettings()
    """Where it runs."""


T = TypeVar("T")


def entry(section: str, entries: Mapping[str, T], name: str) -> T:
    """One entry of a section; raises `UserError` if there is none of that name."""
    if name not in entries:
        raise UserError(f"{section}.{name}: not in params.yaml{did_you_mean(name, entries)}")
    return entries[name]


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml as a whole; raises `UserError` with every mistake in it, a line each."""
    data = _parse(path)
    problems = [*_name_problems(data), *_reference_problems(data)]
    try:
        params = Params.model_validate(data)
    except ValidationError as error:
        problems = [*readable(error, Params, data), *problems]
    if problems:
        # A number that stands for several settings may be wrong in each of them.
        raise UserError(f"{path.name}: {problem}" for problem in dict.fromkeys(problems))
    return params


def _parse(path: Path) -> Any:
    try:
        with path.open(encoding="utf-8") as file:
            return YAML(typ="safe").load(file)
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no such file; run this in the project's folder, or copy one of presets/"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}: not valid YAML{where}: {error.problem or error.context}") from None
    except YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


def _entries(data: Any, section: str) -> dict[Any, Any]:
    """The entries of a section as far as they are there; the schema complains about the rest."""
    entries = data.get(section) if isinstance(data, Mapping) else None
    return dict(entries) if isinstance(entries, Mapping) else {}


def _name_problems(data: Any) -> Iterator[str]:
    """Names that DVC or a shell cannot bear."""
    for section in ("corpora", "datasets", "runs"):
        for name in _entries(data, section):
            if not NAME.fullmatch(str(name)):
                yield (
                    f"{section}.{name}: a name may have letters, digits, - and _ and begins with a letter, "
                    "since it becomes a folder and a DVC stage"
                )


def _init_problems(runs: Mapping[Any, Any]) -> Iterator[str]:
    """Starts that are no run, or come back to where they began."""
    starts = {name: run.get("init") for name, run in runs.items() if isinstance(run, Mapping)}
    if SCRATCH in runs:
        yield f"runs.{SCRATCH}: no run may be called {SCRATCH}: `init: {SCRATCH}` starts from no run"
    for name, init in starts.items():
        if not isinstance(init, str) or init == SCRATCH:
            continue
        if init not in runs:
            yield f"runs.{name}.init: there is no run {init!r}{did_you_mean(init, [SCRATCH, *runs])}"
            continue
        seen = [name]
        while init in starts and init not in seen:
            seen.append(init)
            init = starts[init]
        if init == name:
            yield f"runs.{name}.init: {' starts from '.join([*seen, name])}; one of them should start from {SCRATCH}"


def _unit_problems(name: str, run: Mapping[Any, Any], fields: Mapping[Any, Any]) -> Iterator[str]:
    """Runs that cannot read a unit, lack or have what spells rare words, or ask for what a unit has not."""
    units = [str(field["unit"]) for field in fields.values() if isinstance(field, Mapping) and "unit" in field]
    kind, dataset, spelling = _kind(run), run["dataset"], _entries(run, "model").get("spelling")
    if "hybrid" not in units:
        if kind == "language_model" and spelling is not None and units:
            yield (
                f"runs.{name}.model.spelling: belongs to a dataset of unit hybrid, whose rare words are spelled; "
                f"{dataset!r} has unit {', '.join(units)}"
            )
    elif kind == "language_model":
        if spelling is None:
            yield (
                f"runs.{name}.model.spelling: is missing; rare words of {dataset!r}, of unit hybrid, are read and "
                "written by character models: {embedding: SIZE, hidden: SIZE}"
            )
    elif kind == "seq2seq":
        if _entries(run, "model").get("pointer") is None:
            yield (
                f"runs.{name}.dataset: rare words of {dataset!r}, of unit hybrid, are written by copying them from the "
                "source; state model.pointer, or take another unit"
            )
    elif kind in FIELDS:
        yield (
            f"runs.{name}.dataset: rare words of {dataset!r}, of unit hybrid, are read and written by character "
            f"models, which kind: language_model has and kind: {kind} has not; take another unit"
        )
    if kind == "seq2seq" and _entries(run, "model").get("pointer") == "switch" and units and "hybrid" not in units:
        yield (
            f"runs.{name}.model.pointer: switch copies words that the vocabulary lacks, which unit hybrid keeps; "
            f"{dataset!r} has unit {' and '.join(sorted(set(units)))}; take hybrid, or pointer: mixture"
        )
    if _entries(run, "train").get("sampling") is not None and units and "subword" not in units:
        yield (
            f"runs.{name}.train.sampling: draws other pieces of words, and {dataset!r} has the unit "
            f"{' and '.join(sorted(set(units)))}; it needs subword"
        )
    if _entries(run, "evaluate").get("replace_unknown") is True and set(units) - {"word"}:
        yield (
            f"runs.{name}.evaluate.replace_unknown: puts words of the source in place of unknown ones, and {dataset!r} "
            f"has the unit {' and '.join(sorted(set(units)))}; it needs word"
        )


def _sharing_problems(name: str, run: Mapping[Any, Any], fields: Mapping[Any, Any]) -> Iterator[str]:
    """What reads source and target by the same ids, on a dataset that has two vocabularies."""
    if any(isinstance(field, Mapping) and "share" in field for field in fields.values()):
        return
    for key in ("pointer", "candidates"):
        if _kind(run) == "seq2seq" and _entries(run, "model").get(key) is not None:
            yield (
                f"runs.{name}.model.{key}: needs a dataset whose fields share a vocabulary, and {run['dataset']!r} "
                "has two"
            )


def _language_problems(name: str, run: Mapping[Any, Any]) -> Iterator[str]:
    """BLEU that finds words in one language where it selects and in another where it evaluates."""
    train = _entries(run, "train")
    select = {"metric": train.get("select"), **_entries(train, "select")}
    ours, theirs = (str(settings.get("language", "en")) for settings in (select, _entries(run, "evaluate")))
    if select["metric"] == "bleu" and language_code(ours) != language_code(theirs):
        yield (
            f"runs.{name}.train.select: finds words in the language {ours}, evaluate in {theirs}; "
            f"the same would be right: {{metric: bleu, language: {theirs}}}"
        )


def _reference_problems(data: Any) -> Iterator[str]:
    """Entries that name another entry which is not there or does not fit."""
    corpora, datasets = _entries(data, "corpora"), _entries(data, "datasets")
    for name, dataset in datasets.items():
        corpus = dataset.get("corpus") if isinstance(dataset, Mapping) else None
        if isinstance(corpus, str) and corpus not in corpora:
            yield f"datasets.{name}.corpus: there is no corpus {corpus!r}{did_you_mean(corpus, corpora)}"
    yield from _init_problems(_entries(data, "runs"))
    for name, run in _entries(data, "runs").items():
        dataset = run.get("dataset") if isinstance(run, Mapping) else None
        if not isinstance(dataset, str):
            continue
        if dataset not in datasets:
            yield f"runs.{name}.dataset: there is no dataset {dataset!r}{did_you_mean(dataset, datasets)}"
            continue
        fields = _entries(datasets[dataset], "fields")
        yield from _unit_problems(name, run, fields)
        needed = FIELDS.get(_kind(run) or "", set(fields))
        yield from _sharing_problems(name, run, fields)
        yield from _language_problems(name, run)
        if fields and set(fields) != needed:
            yield (
                f"runs.{name}.dataset: {dataset!r} has the fields {', '.join(fields)}; "
                f"a {_kind(run)} needs {', '.join(sorted(needed))}"
            )
