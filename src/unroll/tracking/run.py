"""One finished run, or combination of runs, in MLflow: found or created, and logged whole."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag, ViewType

from unroll.errors import UserError
from unroll.evaluation.results import Results, read_results
from unroll.files import read_json, sha256
from unroll.settings import Settings
from unroll.tracking.models import forget_models, log_model
from unroll.tracking.shown import (
    Subject,
    combination_subject,
    dataset_input,
    description,
    digest,
    milliseconds,
    run_metrics,
    run_params,
    run_subject,
    run_tags,
)
from unroll.tracking.store import open_store, project_root, tracking_uri

METRICS_A_CALL, PARAMS_A_CALL = 1000, 100  # MLflow's limits
LAYOUT = "5"  # of what is logged: a run logged in another one is logged anew


@dataclass(frozen=True)
class Tracked:
    """Where a run is found in MLflow."""

    run_id: str
    experiment_id: str
    fingerprint: str
    uri: str


def track_run(name: str, settings: Settings, model: Path, results: Path, data: Path) -> Tracked:
    """Log the finished run `name` with its model, or log it again: then nothing is doubled.

    `settings` is its entry of params.yaml, `model` its bundle, `results` and `data` the folders of its results and
    its encoded data. If the same fingerprint led to other results (timings, say), they replace the run that was there.
    Raises `UserError` if the run has no results.
    """
    found = read_results(results)
    if found is None or not found.timing or len(found.timing) != len(found.history):
        raise UserError(f"{results}: no whole results of a run: dvc repro track@{name}")
    subject = run_subject(name, settings, read_json(model / "bundle.json"), read_json(data / "manifest.json"))
    return _track(subject, found, model, results, data)


def track_combination(name: str, settings: Settings, bundles: Sequence[Path], results: Path, data: Path) -> Tracked:
    """Log the combination `name` of the runs in `bundles` as `track_run` does a run, without a model of its own."""
    found = read_results(results)
    if found is None:
        raise UserError(f"{results}: no results of a combination: dvc repro track_combination@{name}")
    members = [read_json(bundle / "bundle.json") for bundle in bundles]
    subject = combination_subject(name, settings, members, read_json(data / "manifest.json"))
    return _track(subject, found, None, results, data)


def _track(subject: Subject, found: Results, model: Path | None, results: Path, data: Path) -> Tracked:
    params = run_params(subject)
    named = [results / name for name in ("metrics.json", "samples.md", "history.csv", "timing.csv")]
    files = [path for path in named if path.exists()]
    files += [data / "report.json", *sorted((results / "figures").iterdir())]
    weights = [] if model is None else [model / "weights.safetensors"]
    identity = {
        "unroll.run": subject.name,
        "unroll.fingerprint": subject.fingerprint,
        "unroll.content": digest([LAYOUT, json.dumps(params), *map(sha256, [*files, *weights])]),
    }
    with open_store() as (client, experiment):
        run = _find_or_create(client, experiment, identity, found)
        run_id = str(run.info.run_id)
        end = milliseconds(found.timing[-1]["time"]) if found.timing else run.info.start_time
        note = description(subject, found)
        logged = None
        if model is not None:
            logged = log_model(client, run, subject, model, results, note)
        tags = {**run_tags(subject, found.metrics), "mlflow.note.content": note}
        _log(client, run_id, params, run_metrics(found, end, logged), tags)
        client.log_inputs(run_id, datasets=[dataset_input(subject.data, data)])
        for path in files:
            client.log_artifact(run_id, str(path), "figures" if path.parent.name == "figures" else None)
        client.set_terminated(run_id, "FINISHED", end_time=end)
    return Tracked(run_id, experiment, subject.fingerprint, tracking_uri())


def _find_or_create(client: MlflowClient, experiment: str, identity: Mapping[str, str], found: Results) -> Run:
    """The run with these tags; one of the same fingerprint and other content is deleted, with its model, and so is a
    second one, as two machines leave that have tracked the same run at the same moment.

    One that was followed while it trained has no content yet, and gets it. It begins when training began; what was not
    trained, when it is logged for the first time.
    """
    kept = None
    for run in client.search_runs([experiment], same_run(identity), ViewType.ACTIVE_ONLY):
        content = run.data.tags.get("unroll.content", identity["unroll.content"])
        if kept is None and content == identity["unroll.content"]:
            client.set_tag(run.info.run_id, "unroll.content", content)
            kept = run
        else:
            forget_models(client, run)
            client.delete_run(run.info.run_id)
    if kept is not None:
        return kept
    first = found.timing[0] if found.timing else {"time": time.time(), "seconds": 0.0}
    start = milliseconds(first["time"] - first["seconds"])
    commit = {"mlflow.source.git.commit": there} if (there := _git_commit()) else {}
    return client.create_run(experiment, start, {**identity, **commit}, run_name=identity["unroll.run"])


def same_run(identity: Mapping[str, str]) -> str:
    """MLflow's words for the runs of the same name and fingerprint."""
    return " and ".join(f"tags.`{key}` = '{identity[key]}'" for key in ("unroll.run", "unroll.fingerprint"))


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
