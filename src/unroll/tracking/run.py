"""One finished run in MLflow: found or created, and logged whole."""

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType

from unroll.errors import UserError
from unroll.evaluation.results import read_results
from unroll.files import read_json, sha256
from unroll.settings import Settings
from unroll.tracking.shown import dataset_input, description, milliseconds, run_metrics, run_params, run_tags
from unroll.tracking.store import open_store, project_root, tracking_uri

METRICS_A_CALL, PARAMS_A_CALL = 1000, 100  # MLflow's limits
LAYOUT = "2"  # of what is logged: a run logged in another one is logged anew


@dataclass(frozen=True)
class Tracked:
    """Where a run is found in MLflow."""

    run_id: str
    experiment_id: str
    fingerprint: str
    uri: str


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
    params = run_params(settings, bundle)
    files = [results / "metrics.json", results / "samples.md", results / "history.csv", results / "timing.csv"]
    files += [data / "report.json", *sorted((results / "figures").iterdir())]
    identity = {
        "unroll.run": name,
        "unroll.fingerprint": _fingerprint(settings, bundle),
        "unroll.content": _digest([LAYOUT, json.dumps(params), *map(sha256, files)]),
    }
    with open_store() as (client, experiment):
        run = _find_or_create(client, experiment, identity, found.timing)
        tags = {**run_tags(bundle, found.metrics), "mlflow.note.content": description(name, bundle, found)}
        _log(client, run, params, run_metrics(found), tags)
        client.log_inputs(run, datasets=[dataset_input(manifest, data)])
        for path in files:
            client.log_artifact(run, str(path), "figures" if path.parent.name == "figures" else None)
        client.set_terminated(run, "FINISHED", end_time=milliseconds(found.timing[-1]["time"]))
    return Tracked(run, experiment, identity["unroll.fingerprint"], tracking_uri())


def _fingerprint(settings: Settings, bundle: Mapping[str, Any]) -> str:
    """That of the training, unless the run has been told since to be evaluated in another way."""
    stated = settings.model_dump(mode="json")
    trained = str(bundle["fingerprint"])
    return trained if stated == bundle["settings"] else _digest([trained, json.dumps(stated, sort_keys=True)])


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _find_or_create(
    client: MlflowClient, experiment: str, identity: Mapping[str, str], timing: Sequence[Mapping[str, float]]
) -> str:
    """The id of the run with these tags; one of the same fingerprint and other content is deleted."""
    same = " and ".join(f"tags.`{key}` = '{identity[key]}'" for key in ("unroll.run", "unroll.fingerprint"))
    for run in client.search_runs([experiment], same, ViewType.ACTIVE_ONLY):
        if run.data.tags.get("unroll.content") == identity["unroll.content"]:
            return str(run.info.run_id)
        client.delete_run(run.info.run_id)
    start = milliseconds(timing[0]["time"] - timing[0]["seconds"])
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
