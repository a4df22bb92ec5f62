"""The store: where it is, and how it is opened."""

import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from unroll.errors import UserError
from unroll.tracking.shown import COLUMNS

logging.getLogger("mlflow").setLevel(logging.WARNING)
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # for about ten seconds; by default it is minutes

EXPERIMENT = "unroll"
# A shared view of MLflow, kept as a tag of the experiment: by default its table of runs shows no figure.
VIEW = "unroll"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
# Where the database has absolute addresses.
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


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
    with FileLock(folder / ".lock") if ours else nullcontext(), _absence_told(uri):
        client = MlflowClient(uri)
        artifacts = (folder / "artifacts").as_uri() if ours else None
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            experiment = _created(client, artifacts)
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        if experiment.tags.get(VIEW_TAG) != _view():
            client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, _view())
        if artifacts and experiment.artifact_location != artifacts:
            _move_artifacts(folder / "mlflow.db", experiment.artifact_location, artifacts)
        yield client, experiment.experiment_id


def _created(client: MlflowClient, artifacts: str | None) -> Experiment:
    """The experiment, made here unless another writer of the same server was quicker."""
    try:
        client.create_experiment(EXPERIMENT, artifact_location=artifacts, tags={VIEW_TAG: _view()})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    found = client.get_experiment_by_name(EXPERIMENT)
    assert found is not None
    return found


@contextmanager
def _absence_told(uri: str) -> Iterator[None]:
    """`UserError` where MLflow does not answer, or answers that it cannot."""
    try:
        yield
    except MlflowException as error:
        said = str(error).splitlines()[0]
        raise UserError(
            f"MLflow at {uri}: {said}; trained and evaluated it is: once MLflow is back, run this again"
        ) from error


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
        for table, column in ADDRESSES:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                (new, len(old) + 1, len(old), old),
            )
    connection.close()
