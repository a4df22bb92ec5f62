"""Trainings that go on, in a real MLflow store as far as they are; `track` completes the same run."""

import json
import os
import threading
from pathlib import Path

import pytest
from mlflow import MlflowClient
from test_tracking import HISTORY, TIMING, Project, empty_store, project  # noqa: F401

from unroll.files import write_json
from unroll.tracking import live
from unroll.tracking.live import Follower
from unroll.tracking.store import tracking_uri

ENDED = 2**22 + 1  # no process has this number


class Training:
    """The files of a training of the project's run, as its process leaves them."""

    def __init__(self, project: Project, folder: Path) -> None:  # noqa: F811
        fingerprint = json.loads((project.model / "bundle.json").read_text())["fingerprint"]
        self.folder = folder / "0123"
        self.stated = {"run": "tiny", "fingerprint": fingerprint, "settings": {"dataset": "tiny-char"}}
        self.follower = Follower(folder)

    def goes_on(self, rows: int, process: int | None = None, part: str = "", **more) -> None:
        write_json(self.folder / "run.json", {**self.stated, "process": {"id": process or os.getpid()}, **more})
        for name, text in (("history.csv", HISTORY), ("timing.csv", TIMING)):
            lines = text.splitlines(keepends=True)
            (self.folder / name).write_text("".join(lines[: rows + 1]) + part)
        self.follower.look()


@pytest.fixture
def training(project, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(project.folder)
    return Training(project, tmp_path / "checkpoints")


def curve(run, key="train/loss"):
    return [
        (point.step, point.value) for point in MlflowClient(tracking_uri()).get_metric_history(run.info.run_id, key)
    ]


def test_a_training_is_shown_as_far_as_it_is_and_completed_by_track(project, training):  # noqa: F811
    training.goes_on(0)
    assert project.runs() == []
    training.goes_on(1, part="20,0.")  # a line that is being written
    (run,) = project.runs()
    assert (run.info.run_name, run.info.status, run.info.start_time) == ("tiny", "RUNNING", 1_700_000_000_000)
    assert curve(run) == [(10, 3.5)]
    training.goes_on(2)
    assert curve(run) == [(10, 3.5), (20, 3.25)]
    training.goes_on(2, ENDED, finished=True)
    assert project.runs()[0].info.status == "RUNNING"  # it is being evaluated
    tracked = project.track()
    (done,) = project.runs()
    assert tracked.run_id == done.info.run_id == run.info.run_id
    assert done.info.status == "FINISHED" and done.data.metrics["test/bits_per_char"] == 2.25
    assert curve(done) == [(10, 3.5), (20, 3.25)]


def test_a_training_that_was_killed_is_shown_so_until_it_goes_on(project, training):  # noqa: F811
    training.goes_on(2)
    training.goes_on(2, ENDED)
    assert project.runs()[0].info.status == "KILLED"
    training.goes_on(1)  # from a checkpoint before
    (run,) = project.runs()
    assert run.info.status == "RUNNING" and curve(run) == [(10, 3.5)]
    training.goes_on(1, ENDED)
    training.goes_on(2)
    assert project.runs()[0].info.status == "RUNNING" and len(curve(run)) == 2


def test_what_ended_before_anybody_looked_is_not_shown(project, training):  # noqa: F811
    training.goes_on(2, ENDED)
    assert project.runs() == []


def test_a_store_that_does_not_answer_is_tried_again(project, training, monkeypatch):  # noqa: F811
    seen, end = [], threading.Event()

    def look():
        seen.append(len(seen))
        if len(seen) == 1:
            raise OSError("away")
        end.set()

    monkeypatch.setattr(live, "SECONDS", 0.01)
    monkeypatch.setattr(training.follower, "look", look)
    training.follower.follow(end)
    assert seen == [0, 1]
