"""Trainings that go on, in MLflow as far as they are: followed from the files that they write as they go.

Training itself knows nothing of it. `track` completes the same run once it is evaluated.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from unroll.errors import UserError
from unroll.evaluation.results import Row, parse_rows
from unroll.files import is_alive, read_json
from unroll.tracking.run import same_run
from unroll.tracking.shown import curves, milliseconds
from unroll.tracking.store import open_store
from unroll.training.identity import RUN

SECONDS = 3.0  # between looks


@dataclass
class _Shown:
    """What MLflow has of a training."""

    run: str
    rows: int
    running: bool = True


class Follower:
    """Keeps MLflow at what the trainings below the folder `checkpoints` have come to."""

    def __init__(self, checkpoints: Path) -> None:
        self.checkpoints = checkpoints
        self._shown: dict[str, _Shown] = {}

    def follow(self, end: threading.Event) -> None:
        """Look again and again until `end`; a store that does not answer is tried again."""
        while not end.wait(SECONDS):
            try:
                self.look()
            except (UserError, OSError):
                continue

    def look(self) -> None:
        """Log what has come since the last look."""
        there = {path.parent.name: path for path in sorted(self.checkpoints.glob(f"*/{RUN}"))}
        for gone in self._shown.keys() - there.keys():
            del self._shown[gone]
        for name, path in there.items():
            self._look_at(name, path, read_json(path))

    def _look_at(self, name: str, path: Path, stated: Mapping[str, Any]) -> None:
        running, shown = _is_running(stated), self._shown.get(name)
        if shown is None and not running:
            return
        history, timing = _rows(path.with_name("history.csv")), _rows(path.with_name("timing.csv"))
        count = min(len(history), len(timing))
        if not count or (shown and shown.rows == count and shown.running == running):
            return
        with open_store() as (client, experiment):
            if shown is None or count < shown.rows:  # it was killed, and goes on from a checkpoint before
                shown = self._shown[name] = _Shown(_begin(client, experiment, stated, timing[0]).info.run_id, 0)
            metrics = curves(history[shown.rows : count], timing[shown.rows : count])
            client.log_batch(shown.run, metrics=metrics)
            if running != shown.running and not stated.get("finished"):
                client.update_run(shown.run, "RUNNING" if running else "KILLED")
            shown.rows, shown.running = count, running


def _begin(client: MlflowClient, experiment: str, stated: Mapping[str, Any], first: Row) -> Run:
    """A new run; what is there of the same training is not finished, and goes."""
    identity = {"unroll.run": stated["run"], "unroll.fingerprint": stated["fingerprint"]}
    for run in client.search_runs([experiment], same_run(identity), ViewType.ACTIVE_ONLY):
        if "unroll.content" not in run.data.tags:
            client.delete_run(run.info.run_id)
    start = milliseconds(first["time"] - first["seconds"])
    tags = {**identity, "dataset": stated["settings"]["dataset"]}
    return client.create_run(experiment, start, tags, run_name=stated["run"])


def _rows(path: Path) -> list[Row]:
    """The whole lines of a table to which lines are added meanwhile."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return parse_rows(text[: text.rfind("\n") + 1], path)


def _is_running(stated: Mapping[str, Any]) -> bool:
    return not stated.get("finished") and is_alive(stated["process"]["id"])
