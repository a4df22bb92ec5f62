"""Kill -9 at any moment: the pipeline goes on, and ends with the bits of one that nobody disturbed."""

import copy
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from test_pipeline import PARAMS, Project, build

from unroll.cli.mending import HELD, KNOWN, mended

KILLS = int(os.environ.get("KILLS", "120"))


def longer(folder: Path, runs: Sequence[str]) -> Project:
    """A project whose trainings take seconds and write a checkpoint after each update."""
    params = copy.deepcopy(PARAMS)
    params["runs"]["lm"]["train"] |= {"steps": 400, "validate_every": 30, "average": 2, "schedule": "cosine"}
    params["runs"]["lm"]["model"]["dropout"] = 0.2
    params["runs"]["translator"]["train"] |= {"steps": 150, "validate_every": 40, "select": {"metric": "bleu"}}
    params["runs"]["counts"] = params["runs"]["lm"] | {
        "model": {"kind": "ngram", "order": 3}, "train": {"context": "stream"}
    }  # fmt: skip
    params["runs"] = {name: params["runs"][name] for name in runs}
    used = {run["dataset"] for run in params["runs"].values()}
    params["datasets"] = {name: one for name, one in params["datasets"].items() if name in used}
    params["corpora"] = {one["corpus"]: params["corpora"][one["corpus"]] for one in params["datasets"].values()}
    project = build(folder, params)
    loop = folder / "src" / "unroll" / "training" / "loop.py"
    content = loop.read_text()
    assert "SAVE_SECONDS = 60.0" in content
    loop.write_text(content.replace("SAVE_SECONDS = 60.0", "SAVE_SECONDS = 0.0"))
    return project


def kill(project: Project, kills: int, seed: int, seconds: int) -> None:
    script = Path(__file__).parent / "kills.py"
    command = [sys.executable, str(script), str(project.folder), str(kills), str(seed), str(seconds)]
    done = subprocess.run(command, text=True, capture_output=True)
    print(done.stdout)
    assert done.returncode == 0, done.stderr


def test_some_kills(tmp_path):
    kill(longer(tmp_path / "project", ["lm"]), 3, 1, 8)


@pytest.mark.slow
def test_many_kills(tmp_path):
    kill(longer(tmp_path / "project", ["lm", "translator", "counts"]), KILLS, 2, 25)


@pytest.mark.parametrize(
    ("path", "content", "aside"),
    [
        (HELD, "", False),
        (HELD, '{"write": {"/x": {"pid": 1,', False),
        (KNOWN, "", True),
        (KNOWN, "schema: '2.0'\nstages:\n  encode@x:\n    cmd: python\n    deps:\n    - path: a\n      md5", True),
        (KNOWN, "schema: '2.0'\nstages:\n  encode@x:\n    cmd: python\n    deps:\n    - md5: a\n", True),
    ],
)
def test_what_dvc_left_half_written_is_put_aside(tmp_path, monkeypatch, capsys, path, content, aside):
    monkeypatch.chdir(tmp_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    assert mended()
    assert capsys.readouterr().err.startswith(f"{path}: damaged")
    assert not path.exists()
    assert Path("dvc.lock.damaged").exists() == aside
    assert not mended()


def test_whole_files_of_dvc_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    HELD.parent.mkdir(parents=True)
    HELD.write_text('{"write": {}}')
    KNOWN.write_text("schema: '2.0'\nstages:\n  scratch:\n    cmd: python\n")
    assert not mended()
    assert HELD.exists() and KNOWN.exists()
