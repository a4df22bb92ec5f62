"""params.yaml: the schema, put together from the settings that stand beside each component."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import Tag, ValidationError

from unroll.errors import UserError
from unroll.evaluation.settings import CaptionEvaluation, LanguageModelEvaluation, PairEvaluation
from unroll.kinds import KindName
from unroll.kinds.captioner.settings import CaptionerBatches, CaptionerSettings
from unroll.kinds.combination.settings import PairCombination, TextCombination
from unroll.kinds.language_model.settings import LanguageModelBatches, LanguageModelSettings
from unroll.kinds.ngram.settings import NgramSettings, NgramTraining
from unroll.kinds.seq2seq.settings import Seq2SeqBatches, Seq2SeqSettings
from unroll.mistakes import Problem, did_you_mean, problems
from unroll.nn.device import ComputeSettings
from unroll.parsing import parse
from unroll.references import entries, reference_problems
from unroll.settings import Seed, Settings, choice, rule
from unroll.text.settings import DatasetSettings
from unroll.text.sources import AnyCorpus
from unroll.training.settings import TrainSettings


class LanguageModelTraining(LanguageModelBatches, TrainSettings):
    """`runs.RUN.train` of a recurrent language model."""


class Seq2SeqTraining(Seq2SeqBatches, TrainSettings):
    """`runs.RUN.train` of an encoder-decoder."""

    @property
    def open_ended(self) -> bool:
        """Whether nothing depends on the budget, so that a larger one may go on."""
        return super().open_ended and not self.scheduled_sampling


class CaptionerTraining(CaptionerBatches, TrainSettings):
    """`runs.RUN.train` of a captioner."""


class TrainedRun(Settings):
    """What every run has."""

    dataset: str
    """Name of an entry of `datasets`."""
    init: str
    """`scratch`, or the run whose weights training starts from; coverage and peepholes may be added to its model."""
    seed: Seed
    """Decides first weights, dropout and the order of the data."""


class LanguageModelRun(TrainedRun):
    """A recurrent language model trained on a dataset with the field `text`."""

    model: LanguageModelSettings
    train: LanguageModelTraining
    evaluate: LanguageModelEvaluation

    @rule
    def _adaptive_softmax_is_all_there_is(self) -> Iterator[str]:
        for key in ("label_smoothing", "sampled_softmax"):
            if self.model.adaptive_softmax is not None and getattr(self.train, key):
                yield f"`train.{key}` needs a single softmax, and `model.adaptive_softmax` is several; leave one out"


class Seq2SeqRun(TrainedRun):
    """An encoder-decoder trained on a dataset with the fields `source` and `target`."""

    model: Seq2SeqSettings
    train: Seq2SeqTraining
    evaluate: PairEvaluation


class CaptionerRun(TrainedRun):
    """A captioner trained on a dataset with the fields `image` and `target`."""

    model: CaptionerSettings
    train: CaptionerTraining
    evaluate: CaptionEvaluation


class NgramRun(TrainedRun):
    """An n-gram language model estimated from a dataset with the field `text`; its seed decides nothing."""

    init: Literal["scratch"]
    """An n-gram model is counted anew."""
    model: NgramSettings
    train: NgramTraining
    evaluate: LanguageModelEvaluation


Run = Annotated[
    Annotated[LanguageModelRun, Tag("language_model")]
    | Annotated[Seq2SeqRun, Tag("seq2seq")]
    | Annotated[CaptionerRun, Tag("captioner")]
    | Annotated[NgramRun, Tag("ngram")],
    choice("model.kind", *get_args(KindName)),
]


class CombinedPairs(PairCombination):
    """Encoder-decoders that decode as one."""

    evaluate: PairEvaluation
    """How hypotheses are searched for and scored."""


class CombinedTexts(TextCombination):
    """Language models as one."""

    evaluate: LanguageModelEvaluation
    """How it is shown at work."""


def _combined(data: Any) -> str:
    """A metric tells that pairs are combined; language models are measured without."""
    evaluate = data.get("evaluate") if isinstance(data, Mapping) else getattr(data, "evaluate", None)
    pairs = "metric" in evaluate if isinstance(evaluate, Mapping) else isinstance(evaluate, PairEvaluation)
    return "pairs" if pairs else "texts"


Combination = Annotated[
    Annotated[CombinedPairs, Tag("pairs")] | Annotated[CombinedTexts, Tag("texts")],
    choice("evaluate", "pairs", "texts", tag=_combined),
]


class Params(Settings):
    """All that a person says."""

    corpora: dict[str, AnyCorpus]
    """Where text comes from."""
    datasets: dict[str, DatasetSettings]
    """A corpus seen through vocabularies."""
    runs: dict[str, Run]
    """Models trained on datasets."""
    combinations: dict[str, Combination]
    """Runs decoded together; `{}` for none."""
    compute: ComputeSettings = ComputeSettings()
    """Where it runs."""


T = TypeVar("T")


def entry(section: str, there: Mapping[str, T], name: str) -> T:
    """One entry of a section; raises `UserError` if there is none of that name."""
    if name not in there:
        raise UserError(f"{section}.{name}: not in params.yaml{did_you_mean(name, there)}")
    return there[name]


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml as a whole; raises `UserError` with every mistake in it, a line each."""
    data = _parse(path)
    found = list(reference_problems(data))
    try:
        params = Params.model_validate(data)
    except ValidationError as error:
        found = [*problems(error, Params, data), *found]
    if found:
        raise UserError(f"{path.name}: {line}" for line in _told_once(found))
    return params


def load_compute(path: Path = Path("params.yaml")) -> ComputeSettings:
    """`compute` alone: what is wrong elsewhere does not keep finished runs from being used."""
    data = entries(_parse(path), "compute")
    try:
        return ComputeSettings.model_validate(data)
    except ValidationError as error:
        found = problems(error, ComputeSettings, data)
        raise UserError(
            f"{path.name}: {Problem(('compute', *problem.path), problem.sentence).told()}" for problem in found
        ) from None


def _parse(path: Path) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no such file; run this in the project's folder, or copy one of presets/"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}") from None


def _told_once(found: Iterable[Problem]) -> Iterator[str]:
    """A line a mistake; what entries of a section have in common, as those that share a block, is told of the first."""
    alike: dict[Any, list[Problem]] = {}
    for problem in found:
        section, rest = problem.path[:1], problem.path[2:]
        alike.setdefault((section, rest, len(problem.path) > 1, problem.sentence), []).append(problem)
    for first, *others in alike.values():
        also = ", ".join(dict.fromkeys(str(other.path[1]) for other in others if other.path[1] != first.path[1]))
        yield first.told() + (f" (the same in {also})" if also else "")
