"""What MLflow shows of a run: params, metrics, tags, a description, its data."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric

from unroll.evaluation.results import Results
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
    "peak_ram_bytes": "train/peak_ram_bytes",
}
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


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _flat(tree: Mapping[str, Any], separator: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, each with the keys on the way to it."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, separator, f"{prefix}{key}{separator}")
        else:
            yield f"{prefix}{key}", value


def run_params(settings: Settings, bundle: Mapping[str, Any]) -> dict[str, str]:
    """All settings of the run by their YAML path, and what its data is; longer ones than MLflow takes are cut."""
    data = {"corpus": bundle["corpus"], "max_length": bundle["max_length"], **bundle["fields"]}
    data |= {"image": bundle["images"]} if "images" in bundle else {}
    stated = dict(_flat({**settings.model_dump(mode="json"), "data": data}, "."))
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in stated.items()}
    return {key: text if len(text) <= LONGEST_PARAM else text[: LONGEST_PARAM - 1] + "…" for key, text in texts.items()}


def run_metrics(found: Results) -> list[Metric]:
    """The final figures, at the end of training, and its course at its own times.

    Final figures come first, since MLflow lists metrics in this order, and at step 0: a metric that has no other step
    is drawn as bars, not as a curve of one point.
    """
    points = []
    for row, timing in zip(found.history, found.timing, strict=True):
        values = {**timing, **row}
        at = milliseconds(timing["time"]), int(row["step"])
        points += [Metric(CURVES[key], value, *at) for key, value in values.items() if key in CURVES]
    end = milliseconds(found.timing[-1]["time"]), 0
    final = dict(_flat({**found.metrics, "cost": found.costs()}, "/"))
    figures = [Metric(key, final[key], *end) for key in _compared_first(final) if isinstance(final[key], int | float)]
    return figures + points


def _compared_first(keys: Iterable[str], prefix: str = "") -> list[str]:
    """The keys with those first that runs are compared by: MLflow folds long lists, and plots the first metric."""
    return sorted(keys, key=lambda key: f"{prefix}{key}" not in COLUMNS["metrics"])


def run_tags(bundle: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, str]:
    """What runs are filtered and grouped by, and the figures that are text (signatures of scores)."""
    units = dict.fromkeys(field["unit"] for field in bundle["fields"].values())
    tags = {key: str(bundle[key]) for key in ("corpus", "dataset", "kind")}
    model = bundle["settings"]["model"]
    tags |= {"unit": " → ".join(units), "cell": str(model.get("cell", bundle["kind"]))}
    return tags | {key: value for key, value in _flat(metrics, "/") if isinstance(value, str)}


def description(name: str, bundle: Mapping[str, Any], found: Results) -> str:
    """What MLflow shows above a run, in Markdown."""
    costs = found.costs()
    columns = {name: found.metrics["test"], **found.metrics.get("baseline", {})}
    lines = [
        f"A {bundle['kind'].replace('_', ' ')} on the data set `{bundle['dataset']}` of the corpus "
        f"`{bundle['corpus']}`: {costs['parameters']:,} parameters, trained in {costs['seconds']:,.0f} seconds.",
        "",
        f"| test | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
    ]
    keys = [key for key, value in found.metrics["test"].items() if isinstance(value, int | float)]
    for key in _compared_first(keys, "test/"):
        figures = [_readable(column[key]) if key in column else "" for column in columns.values()]
        lines.append(f"| {key} | {' | '.join(figures)} |")
    lines += ["", "Texts that it wrote are in `samples.md`, below Artifacts."]
    return "\n".join([*lines, "", f"Licence of the corpus: {bundle['licence']}."])


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
