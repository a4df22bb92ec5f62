"""What MLflow shows of a run: params, metrics, tags, a description, its data."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric

from unroll.evaluation.results import Results, Row, leaves
from unroll.settings import Settings

LONGEST_PARAM = 6000  # MLflow's limit
# Columns of history.csv and timing.csv, and the names under which MLflow draws them.
CURVES = {
    "train_loss": "train/loss",
    "valid_loss": "valid/loss",
    "valid_bleu": "valid/bleu",
    "valid_rougeL": "valid/rougeL",
    "lr": "train/lr",
    "epoch": "train/epoch",
    "grad_norm": "train/grad_norm",
    "clipped": "train/clipped",
    "tokens_per_second": "train/tokens_per_second",
    "cpu_percent": "system/cpu_percent",
    "peak_ram_bytes": "system/peak_ram_megabytes",
    "peak_gpu_bytes": "system/peak_gpu_megabytes",
}
DRAWN_IN = {"peak_ram_bytes": 1e6, "peak_gpu_bytes": 1e6}
"""The unit of an axis that would have many digits."""
COLUMNS = {
    "tags": {"unit": 90, "cell": 80},
    "metrics": {
        "test/bits_per_char": 130,
        "test/word_perplexity": 150,
        **{f"test/{key}": 100 for key in ("cider", "bleu4", "bleu", "chrf", "ter", "rouge1", "rouge2", "rougeL")},
        "cost/parameters": 120,
    },
}
"""Tags and metrics in MLflow's table of runs, each with its width."""


@dataclass(frozen=True)
class Subject:
    """What is shown: a run, or a combination of runs."""

    name: str
    settings: Mapping[str, Any]
    """Its entry of params.yaml."""
    data: Mapping[str, Any]
    """The manifest of its data set."""
    fingerprint: str
    kind: str
    cell: str
    """What stands in MLflow's column for the cell."""
    what: str
    """In words."""


def run_subject(name: str, settings: Settings, bundle: Mapping[str, Any], data: Mapping[str, Any]) -> Subject:
    """A run. Its fingerprint is that of the training, unless it has been told since to be evaluated in another way."""
    stated = settings.model_dump(mode="json")
    trained, kind = str(bundle["fingerprint"]), str(bundle["kind"])
    fingerprint = trained if stated == bundle["settings"] else digest([trained, json.dumps(stated, sort_keys=True)])
    return Subject(name, stated, data, fingerprint, kind, stated["model"].get("cell", kind), kind.replace("_", " "))


def combination_subject(
    name: str, settings: Settings, bundles: Sequence[Mapping[str, Any]], data: Mapping[str, Any]
) -> Subject:
    """A combination of the runs whose `bundles` these are."""
    stated = settings.model_dump(mode="json")
    members = [str(bundle["fingerprint"]) for bundle in bundles]
    named = ", ".join(f"`{bundle['run']}`" for bundle in bundles)
    fingerprint = digest([*members, json.dumps(stated, sort_keys=True)])
    return Subject(name, stated, data, fingerprint, "combination", "combination", f"combination of {named}")


def digest(parts: Sequence[str]) -> str:
    """A short hash over some texts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def run_params(subject: Subject) -> dict[str, str]:
    """All settings by their YAML path, and what the data is; longer ones than MLflow takes are cut."""
    data = {"corpus": subject.data["corpus"], "max_length": subject.data["max_length"], **subject.data["fields"]}
    data |= {"image": subject.data["images"]} if "images" in subject.data else {}
    stated = dict(leaves({**subject.settings, "data": data}, "."))
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in stated.items()}
    return {key: text if len(text) <= LONGEST_PARAM else text[: LONGEST_PARAM - 1] + "…" for key, text in texts.items()}


def run_metrics(found: Results, end: int, model: str | None = None) -> list[Metric]:
    """The final figures, at the time `end`, as those of the logged `model` too; and the course of the training.

    Those of baselines are in the `description`: they are not the run's, and would be the first charts. Final figures
    come first, since MLflow lists metrics in this order, and at step 0: a metric that has no other step is drawn as
    bars, not as a curve of one point.
    """
    own = {key: value for key, value in found.metrics.items() if key != "baseline"}
    final = dict(leaves({**own, "cost": found.costs()}, "/"))
    numbers = {key: final[key] for key in _compared_first(final) if isinstance(final[key], int | float)}
    return [Metric(key, value, end, 0, model_id=model) for key, value in numbers.items()] + curves(
        found.history, found.timing
    )


def curves(history: Sequence[Row], timing: Sequence[Row]) -> list[Metric]:
    """The course of a training: rows of its history, and the timings of the same rows."""
    points = []
    for row, times in zip(history, timing, strict=True):
        at = milliseconds(times["time"]), int(row["step"])
        known = ((key, value / DRAWN_IN.get(key, 1)) for key, value in {**times, **row}.items() if key in CURVES)
        points += [Metric(CURVES[key], value, *at) for key, value in known]
    return points


def _compared_first(keys: Iterable[str], prefix: str = "") -> list[str]:
    """The keys with those first that runs are compared by: MLflow folds long lists, and plots the first metric."""
    return sorted(keys, key=lambda key: f"{prefix}{key}" not in COLUMNS["metrics"])


def run_tags(subject: Subject, metrics: Mapping[str, Any]) -> dict[str, str]:
    """What runs are filtered and grouped by, and the figures that are text (signatures of scores)."""
    units = dict.fromkeys(field["unit"] for field in subject.data["fields"].values())
    tags = {key: str(subject.data[key]) for key in ("corpus", "dataset")}
    tags |= {"kind": subject.kind, "unit": " → ".join(units), "cell": subject.cell}
    return tags | {key: value for key, value in leaves(metrics, "/") if isinstance(value, str)}


def description(subject: Subject, found: Results) -> str:
    """What MLflow shows above a run, in Markdown."""
    costs, data = found.costs(), subject.data
    columns = {subject.name: found.metrics["test"], **found.metrics.get("baseline", {})}
    trained = f", trained in {costs['seconds']:,.0f} seconds" if "seconds" in costs else ""
    lines = [
        f"A {subject.what} on the data set `{data['dataset']}` of the corpus `{data['corpus']}`: "
        f"{costs['parameters']:,} parameters{trained}.",
        "",
        f"| test | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
    ]
    keys = [key for key, value in found.metrics["test"].items() if isinstance(value, int | float)]
    for key in _compared_first(keys, "test/"):
        figures = [_readable(column[key]) if key in column else "" for column in columns.values()]
        lines.append(f"| {key} | {' | '.join(figures)} |")
    lines += ["", "Texts that it wrote are in `samples.md`, below Artifacts."]
    return "\n".join([*lines, "", f"Licence of the corpus: {data['licence']}."])


def _readable(figure: float) -> str:
    return f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:.4g}"


def dataset_input(manifest: Mapping[str, Any], data: Path) -> DatasetInput:
    """The encoded data as an input of the run, with its counts."""
    dataset = Dataset(
        name=manifest["dataset"],
        digest=manifest["sha256"][:8],  # as long as those that MLflow makes
        source_type="local",
        source=json.dumps({"uri": data.as_posix()}),
        profile=json.dumps(manifest["splits"]),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
