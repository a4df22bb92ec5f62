"""Experiments as DVC's manual says: `dvc exp run -S`, alone and queued for several workers."""

import copy
import json
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML
from test_pipeline import PARAMS, Project, build

ROOT = Path(__file__).parent.parent
FILES = [ROOT / "params.yaml", *sorted((ROOT / "presets").glob("*.yaml"))]
SECONDS = 600


def runs_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["runs"]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_two_runs_are_one_mapping_of_the_file(path):
    """`b: *a` is one mapping under two names: `dvc exp run -S` would change it for both. `b: {<<: *a}` is its own."""
    runs = YAML().load(path.read_text(encoding="utf-8"))["runs"]
    parts = [
        (id(part), f"{name}.{key}") for name, run in runs.items() for key, part in run.items() if hasattr(part, "fa")
    ]
    assert len(dict(parts)) == len(parts), [name for _, name in parts]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("runs.char-gru.train.lr=0.002", 0.002),  # shares its settings with char-lstm
        ("runs.char-lstm.train.lr=0.002", 0.002),  # whose settings others share
        ("runs.char-elman.train.steps=10", 10),
        ("+runs.char-gru.train.label_smoothing=0.1", 0.1),
    ],
)
def test_an_override_changes_one_run_alone(tmp_path, override, expected):
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    runs = runs_of(path)
    _, name, part, key = override.partition("=")[0].split(".")
    runs[name] = copy.deepcopy(runs[name])
    runs[name][part][key] = expected
    apply_overrides(path, [override])
    assert runs_of(path) == runs


@pytest.fixture
def committed(tmp_path) -> Project:
    """A project with two runs that has run once and is in git, as experiments start from a commit."""
    params = copy.deepcopy(PARAMS)
    params["runs"] = {"lm": params["runs"]["lm"], "other": {**copy.deepcopy(params["runs"]["lm"]), "seed": 2}}
    params["corpora"] = {"tiny": params["corpora"]["tiny"]}
    params["datasets"] = {"tiny-char": params["datasets"]["tiny-char"]}
    project = build(tmp_path / "un roll", params)
    project.repro()
    project.run("git", "add", "--all")
    project.run("git", "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qm", "baseline")
    return project


def tracked(project: Project) -> list[str]:
    """The names of the runs in the project's MLflow, which all have ended well and keep their files in the project."""
    database = sqlite3.connect(project.folder / "mlruns" / "mlflow.db")
    rows = database.execute("SELECT name, status, artifact_uri FROM runs WHERE lifecycle_stage = 'active'").fetchall()
    database.close()
    assert {status for _, status, _ in rows} == {"FINISHED"}
    artifacts = (project.folder / "mlruns" / "artifacts").as_uri()
    assert [uri for *_, uri in rows if not uri.startswith(artifacts)] == []
    return sorted(name for name, *_ in rows)


def experiments(project: Project) -> dict[str, Any]:
    """`runs.lm` of each experiment by its name, which `dvc exp show` knows."""
    shown = json.loads(project.run("dvc", "exp", "show", "--json").stdout)
    return {
        revision["name"]: revision["data"]["params"]["params.yaml"]["data"]["runs"]["lm"]
        for baseline in shown
        for experiment in baseline["experiments"] or []
        for revision in experiment["revs"]
    }


def test_an_experiment_in_a_copy_leaves_the_workspace_alone_and_is_in_mlflow(committed):
    said = committed.run(
        "dvc", "exp", "run", "--temp", "-n", "fast", "-S", "runs.lm.train.lr=0.02", "track@lm", "compare"
    ).stdout
    assert re.findall(r"Running stage '([^']+)'", said) == ["train@lm", "evaluate@lm", "track@lm", "compare"]
    assert committed.run("git", "status", "--short").stdout == ""
    assert {name: run["train"]["lr"] for name, run in experiments(committed).items()} == {"fast": 0.02}
    assert tracked(committed) == ["lm", "lm", "other"]
    # What an experiment made comes back from the cache; it is in MLflow already, and not doubled.
    committed.run("dvc", "exp", "apply", "fast")
    assert committed.repro() == ["track@lm"]
    assert tracked(committed) == ["lm", "lm", "other"]


@pytest.mark.slow
def test_two_workers_share_a_queue_and_one_database(committed):
    sweep = ("-S", "runs.lm.model.cell=gru,elman", "-S", "runs.lm.model.hidden=8,12")
    committed.run("dvc", "exp", "run", "--queue", *sweep, "track@lm", "compare")
    committed.run("dvc", "queue", "start", "--jobs", "2")
    begun, status = time.monotonic(), "Queued"
    while re.search("Queued|Running", status):
        assert time.monotonic() - begun < SECONDS, status
        time.sleep(2)
        status = committed.run("dvc", "queue", "status").stdout
    assert status.count("Success") == 4, status
    found = {(run["model"]["cell"], run["model"]["hidden"]) for run in experiments(committed).values()}
    assert found == {("gru", 8), ("gru", 12), ("elman", 8), ("elman", 12)}
    assert tracked(committed) == ["lm"] * 5 + ["other"]
    assert committed.run("git", "status", "--short").stdout == ""
