"""MLflow: one run for each training, found again by its fingerprint.

The store is a view that can be made again at any time: what it shows comes from the files of the pipeline, with the
times recorded there, so logging a run again changes nothing.
"""

import hashlib
import json
import logging
import os
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from unroll.errors import UserError
from unroll.evaluation.results import Results, read_results
from unroll.files import read_json, sha256
from unroll.settings import Settings

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType

logging.getLogger("mlflow").setLevel(logging.WARNING)

EXPERIMENT = "unroll"
METRICS_A_CALL, PARAMS_A_CALL, LONGEST_PARAM = 1000, 100, 6000  # MLflow's limits
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
LAYOUT = "2"  # of what is logged: a run logged in another one is logged anew
# A shared view of MLflow, kept as a tag of the experiment: by default its table of runs shows no figure.
VIEW = "unroll"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
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
class Tracked:
    """Where a run is found in MLflow."""

    run_id: str
    experiment_id: str
    fingerprint: str
    uri: str


def project_root() -> Path:
    """The project's own folder, also inside the temporary copies that `dvc exp run` works in."""
    if root := os.environ.get("DVC_ROOT"):
        return Path(root).resolve()
    here = Path.cwd().resolve()
    folders = [here, *here.parents]
    return next((folder for mark in (".dvc", ".git") for folder in folders if (folder / mark).exists()), here)


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI` of the environment, or the database of this project."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_folder() / 'mlflow.db'}"


def _folder() -> Path:
    return project_root() / "mlruns"


@contextmanager
def open_store() -> Iterator[tuple[MlflowClient, str]]:
    """A client and the id of the experiment, both made where they are missing; one process at a time."""
    uri, folder = tracking_uri(), _folder()
    ours = not os.environ.get("MLFLOW_TRACKING_URI")
    if ours:
        folder.mkdir(parents=True, exist_ok=True)
    # Two processes that create the database at once would fail.
    with FileLock(folder / ".lock") if ours else nullcontext():
        client = MlflowClient(uri)
        artifacts = (folder / "artifacts").as_uri() if ours else None
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            tags = {VIEW_TAG: _view()}
            yield client, client.create_experiment(EXPERIMENT, artifact_location=artifacts, tags=tags)
            return
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        if experiment.tags.get(VIEW_TAG) != _view():
            client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, _view())
        if artifacts and experiment.artifact_location != artifacts:
            _move_artifacts(folder / "mlflow.db", experiment.artifact_location, artifacts)
        yield client, experiment.experiment_id


def _view() -> str:
    """How MLflow's table of runs begins; it leaves out columns that no run has."""
    widths = {f"{section}.`{key}`": width for section, keys in COLUMNS.items() for key, width in keys.items()}
    return json.dumps(
        {
            "selectedColumns": [*widths, "attributes.`Dataset`"],
            "columnOrder": ["attributes.`Run Name`", *widths, "duration", "runDateAndNestInfo", "attributes.`Dataset`"],
            "columnWidths": widths,
        }
    )


def _move_artifacts(database: Path, old: str, new: str) -> None:
    """Let the absolute addresses in the database follow a project whose folder was moved or copied."""
    connection = sqlite3.connect(database)
    with connection:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                (new, len(old) + 1, len(old), old),
            )
    connection.close()


def track_run(name: str, settings: Settings, model: Path, results: Path, data: Path) -> Tracked:
    """Log the finished run `name`, or log it again: then nothing is doubled.

    `settings` is its entry of params.yaml, `model` its bundle, `results` and `data` the folders of its results and
    its encoded data. If the same fingerprint led to other results (timings, say), they replace the run that was there.
    Raises `UserError` if the run has no results.
    """
    found = read_results(results)
    if found is None or not found.timing or len(found.timing) != len(found.history):
        raise UserError(f"{results}: no whole results of a run: dvc repro track@{name}")
    bundle, manifest = read_json(model / "bundle.json"), read_json(data / "manifest.json")
    params = _params(settings, bundle)
    files = [results / "metrics.json", results / "samples.md", results / "history.csv", results / "timing.csv"]
    files += [data / "report.json", *sorted((results / "figures").iterdir())]
    identity = {
        "unroll.run": name,
        "unroll.fingerprint": _fingerprint(settings, bundle),
        "unroll.content": _digest([LAYOUT, json.dumps(params), *map(sha256, files)]),
    }
    with open_store() as (client, experiment):
        run = _find_or_create(client, experiment, identity, found.timing)
        tags = {**_tags(bundle, found.metrics), "mlflow.note.content": _description(name, bundle, found)}
        _log(client, run, params, _metrics(found), tags)
        client.log_inputs(run, datasets=[_dataset(manifest, data)])
        for path in files:
            client.log_artifact(run, str(path), "figures" if path.parent.name == "figures" else None)
        client.set_terminated(run, "FINISHED", end_time=_milliseconds(found.timing[-1]["time"]))
    return Tracked(run, experiment, identity["unroll.fingerprint"], tracking_uri())


def _fingerprint(settings: Settings, bundle: Mapping[str, Any]) -> str:
    """That of the training, unless the run has been told since to be evaluated in another way."""
    stated = settings.model_dump(mode="json")
    trained = str(bundle["fingerprint"])
    return trained if stated == bundle["settings"] else _digest([trained, json.dumps(stated, sort_keys=True)])


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _find_or_create(
    client: MlflowClient, experiment: str, identity: Mapping[str, str], timing: Sequence[Mapping[str, float]]
) -> str:
    """The id of the run with these tags; one of the same fingerprint and other content is deleted."""
    same = " and ".join(f"tags.`{key}` = '{identity[key]}'" for key in ("unroll.run", "unroll.fingerprint"))
    for run in client.search_runs([experiment], same, ViewType.ACTIVE_ONLY):
        if run.data.tags.get("unroll.content") == identity["unroll.content"]:
            return str(run.info.run_id)
        client.delete_run(run.info.run_id)
    start = _milliseconds(timing[0]["time"] - timing[0]["seconds"])
    commit = {"mlflow.source.git.commit": found} if (found := _git_commit()) else {}
    run = client.create_run(experiment, start, {**identity, **commit}, run_name=identity["unroll.run"])
    return str(run.info.run_id)


def _git_commit() -> str | None:
    """The commit that is checked out, None outside git."""
    try:
        done = subprocess.run(  # the words are fixed
            ["git", "rev-parse", "--verify", "HEAD"],  # noqa: S607
            cwd=project_root(),
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _flat(tree: Mapping[str, Any], separator: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, each with the keys on the way to it."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, separator, f"{prefix}{key}{separator}")
        else:
            yield f"{prefix}{key}", value


def _params(settings: Settings, bundle: Mapping[str, Any]) -> dict[str, str]:
    """All settings of the run by their YAML path, and what its data is; longer ones than MLflow takes are cut."""
    data = {"corpus": bundle["corpus"], "max_length": bundle["max_length"], **bundle["fields"]}
    data |= {"image": bundle["images"]} if "images" in bundle else {}
    stated = dict(_flat({**settings.model_dump(mode="json"), "data": data}, "."))
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in stated.items()}
    return {key: text if len(text) <= LONGEST_PARAM else text[: LONGEST_PARAM - 1] + "…" for key, text in texts.items()}


def _metrics(found: Results) -> list[Metric]:
    """The final figures, at the end of training, and its course at its own times.

    Final figures come first, since MLflow lists metrics in this order, and at step 0: a metric that has no other step
    is drawn as bars, not as a curve of one point.
    """
    points = []
    for row, timing in zip(found.history, found.timing, strict=True):
        values = {**timing, **row}
        at = _milliseconds(timing["time"]), int(row["step"])
        points += [Metric(CURVES[key], value, *at) for key, value in values.items() if key in CURVES]
    end = _milliseconds(found.timing[-1]["time"]), 0
    final = dict(_flat({**found.metrics, "cost": found.costs()}, "/"))
    figures = [Metric(key, final[key], *end) for key in _compared_first(final) if isinstance(final[key], int | float)]
    return figures + points


def _compared_first(keys: Iterable[str], prefix: str = "") -> list[str]:
    """The keys with those first that runs are compared by: MLflow folds long lists, and plots the first metric."""
    return sorted(keys, key=lambda key: f"{prefix}{key}" not in COLUMNS["metrics"])


def _tags(bundle: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, str]:
    """What runs are filtered and grouped by, and the figures that are text (signatures of scores)."""
    units = dict.fromkeys(field["unit"] for field in bundle["fields"].values())
    tags = {key: str(bundle[key]) for key in ("corpus", "dataset", "kind")}
    model = bundle["settings"]["model"]
    tags |= {"unit": " → ".join(units), "cell": str(model.get("cell", bundle["kind"]))}
    return tags | {key: value for key, value in _flat(metrics, "/") if isinstance(value, str)}


def _description(name: str, bundle: Mapping[str, Any], found: Results) -> str:
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


def _dataset(manifest: Mapping[str, Any], data: Path) -> DatasetInput:
    """The encoded data as an input of the run, with its counts."""
    dataset = Dataset(
        name=manifest["dataset"],
        digest=manifest["sha256"][:8],  # as long as those that MLflow makes
        source_type="local",
        source=json.dumps({"uri": data.as_posix()}),
        profile=json.dumps(manifest["splits"]),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def _log(
    client: MlflowClient, run: str, params: Mapping[str, str], metrics: Sequence[Metric], tags: Mapping[str, str]
) -> None:
    """Log in batches as large as MLflow takes."""
    for start in range(0, len(metrics), METRICS_A_CALL):
        client.log_batch(run, metrics=metrics[start : start + METRICS_A_CALL])
    entries = [Param(key, text) for key, text in params.items()]
    for start in range(0, len(entries), PARAMS_A_CALL):
        client.log_batch(run, params=entries[start : start + PARAMS_A_CALL])
    client.log_batch(run, tags=[RunTag(key, text) for key, text in tags.items()])
