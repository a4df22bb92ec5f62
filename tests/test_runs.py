"""The command `runs`: the state of every run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unroll.cli import app
from unroll.cli.runs import states, trained_now
from unroll.params import Params

PARAMS = {
    "corpora": {"tiny": {"source": "files", "path": "x", "train": "a.txt", "valid": "b.txt", "test": "c.txt"}},
    "datasets": {"tiny-char": {"corpus": "tiny", "fields": {"text": {"unit": "char"}}, "max_length": 30}},
    "runs": {
        "trigram": {
            "dataset": "tiny-char",
            "init": "scratch",
            "model": {"kind": "ngram", "order": 3},
            "train": {},
            "evaluate": {},
            "seed": 1,
        }
    },
    "combinations": {},
}


@pytest.mark.parametrize(
    ("there", "changed", "training", "state", "stages"),
    [
        (
            False,
            ["train@trigram", "evaluate@trigram", "track@trigram"],
            set(),
            "not run",
            ["train", "evaluate", "track"],
        ),
        (True, [], set(), "done", []),
        (True, ["track@trigram"], set(), "stale", ["track"]),
        (True, ["fetch@tiny"], set(), "stale", []),
        (True, ["encode@tiny-char"], set(), "stale", []),
        (True, ["train@other", "compare"], set(), "done", []),
        (True, ["train@trigram"], {"trigram"}, "training", ["train"]),
        (False, ["train@trigram"], {"trigram"}, "training", ["train"]),
    ],
)
def test_the_state_of_a_run(tmp_path, there, changed, training, state, stages):
    if there:
        (tmp_path / "models" / "trigram").mkdir(parents=True)
        (tmp_path / "models" / "trigram" / "bundle.json").write_text("{}")
    params = Params.model_validate(PARAMS)
    (row,) = states(params, {key: [] for key in changed}, training, tmp_path / "models", tmp_path / "results")
    assert row == {"run": "trigram", "kind": "ngram", "dataset": "tiny-char", "state": state, "stages": stages}


def test_a_process_that_trains_is_found_in_its_own_project(tmp_path):
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "train.py").write_text("print(flush=True); import sys; sys.stdin.read()")
    process = subprocess.Popen(
        [sys.executable, "pipeline/train.py", "lm", "--data", "x"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        assert trained_now(tmp_path) == {"lm"}
        assert trained_now(tmp_path.parent) == set()
    finally:
        process.communicate()
    assert trained_now(tmp_path) == set()


def test_json_of_a_project_that_has_not_run(tmp_path, monkeypatch):
    """By DVC's own status."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(json.dumps(PARAMS))
    root = Path(__file__).parent.parent
    (tmp_path / "dvc.yaml").write_text((root / "dvc.yaml").read_text())
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["dvc", "init", "-q", "--no-scm"], check=True, env=environment)
    result = CliRunner().invoke(app, ["runs", "--json"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert (row["run"], row["state"], row["stages"]) == ("trigram", "not run", ["train", "evaluate", "track"])
    assert "not run" in CliRunner().invoke(app, ["runs"]).stdout
