"""What the runs of params.yaml will take, told before hours are spent: parameters, memory, disk, time."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from unroll.params import Params

FLOAT = 4  # bytes
STATES = {"adam": 2, "adamw": 2, "sgd": 0, "nt-asgd": 1}  # numbers that an optimizer keeps for each parameter


class Estimate(NamedTuple):
    """Of one run; None where it cannot be said."""

    run: str
    parameters: int | None
    exact: bool
    """The vocabulary is there; if not, it has at most `max_size` tokens, and so there are at most these parameters."""
    training_bytes: int | None
    """Weights, gradients and the optimizer's states; activations come on top."""
    disk_bytes: int | None
    """Of the finished weights."""
    seconds: float | None
    """Of training, as the last one of this run took for a step."""


def estimates(params: "Params", encoded: Path, results: Path) -> Iterator[Estimate]:
    """An estimate a run, in the order of params.yaml; of an n-gram nothing can be said before its text is counted.

    `encoded` and `results` are the folders of the data sets and of what earlier runs left.
    """
    for name, run in params.runs.items():
        if run.model.kind == "ngram":
            yield Estimate(name, None, False, None, None, None)
            continue
        data, exact = _data(params, run.dataset, encoded)
        count = None if data is None else _parameters(run.model, data)
        train: Any = run.train
        held = None if count is None else count * FLOAT * (2 + STATES.get(train.optimizer, 2))
        disk = None if count is None else count * FLOAT
        yield Estimate(name, count, exact, held, disk, _seconds(train, results / name))


def _data(params: "Params", dataset: str, encoded: Path) -> tuple[dict[str, Any] | None, bool]:
    """What is known of a data set as its manifest says it, None if too little; and whether it is exact."""
    from unroll.files import read_json

    manifest = encoded / dataset / "manifest.json"
    if manifest.is_file():
        return read_json(manifest), True
    settings = params.datasets[dataset]
    found = {}
    for field, owner in settings.owners.items():
        size = getattr(settings.unit(owner), "max_size", None)
        if size is None:
            return None, False
        found[field] = {"size": size, "vocabulary": owner, "sentence_ends": [], "characters": 0}
    return {"fields": found}, False


def _parameters(model: Any, data: dict[str, Any]) -> int | None:
    """How many the network has: it is built without memory; None if it depends on images that are not encoded."""
    import torch

    network: torch.nn.Module
    fields = data["fields"]
    with torch.device("meta"):
        if model.kind == "seq2seq":
            from unroll.kinds.seq2seq.network import Seq2Seq

            source, target = fields["source"], fields["target"]
            shared = source["vocabulary"] == target["vocabulary"]
            network = Seq2Seq(model, source["size"], target["size"], shared)
        elif model.kind == "captioner":
            from unroll.kinds.captioner.network import Captioner

            if "images" not in data:
                return None
            network = Captioner(model, data["images"], fields["target"]["size"])
        else:
            from unroll.kinds.language_model.network import LanguageModel

            network = LanguageModel(model, fields["text"]["size"], fields["text"].get("characters", 0))
    return sum(parameter.numel() for parameter in network.parameters())


def _seconds(train: Any, results: Path) -> float | None:
    from unroll.evaluation.results import read_results

    if train.minutes is not None:
        return float(train.minutes * 60)
    found = read_results(results)
    if train.steps is None or found is None or not found.timing:
        return None
    return found.timing[-1]["seconds"] / found.timing[-1]["step"] * float(train.steps)
