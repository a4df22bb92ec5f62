"""`unroll prune`: what is of no run any more goes, and nothing else."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML
from test_full_disk import PARAMS
from typer.testing import CliRunner

from unroll.cli import app
from unroll.params import load
from unroll.training.checkpoints import Checkpoints
from unroll.training.identity import Identity

THEIRS = [
    "data/raw/{}", "data/vocab/{}", "data/encoded/{}", "models/{}", "results/{}", "predictions/{}",
]  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Path("params.yaml").open("w") as file:
        YAML().dump(PARAMS, file)
    for name in ("mine", "gone"):
        for place in THEIRS:
            folder = Path(place.format(name))
            folder.mkdir(parents=True)
            (folder / "file").write_bytes(bytes(500_000))
        Path("mlruns/receipts").mkdir(parents=True, exist_ok=True)
        Path(f"mlruns/receipts/{name}.json").write_text("{}")
    Path("models/scratch").mkdir()
    Path("data/mine.txt").write_text("input")
    return tmp_path


def checkpoint(folder: str, run: str, **changes) -> Checkpoints:
    params = load()
    settings = Identity.of(run, params.runs["mine"], "data", "code", "", budget=True)
    made = Checkpoints(Path("checkpoints", folder))
    with made.held(Identity(run, {**settings.settings, **changes}, "data", "code", ""), "final"):
        made.save(3, {})
    return made


def files() -> set[str]:
    return {path.as_posix() for path in Path().rglob("*")}


def test_what_no_run_has_goes(project):
    present, other, gone = checkpoint("a", "mine"), checkpoint("b", "mine", seed=7), checkpoint("c", "gone")
    before = files()
    told = CliRunner().invoke(app, ["prune", "--dry-run"])
    assert files() == before and "would free 3.0 MB" in told.output
    done = CliRunner().invoke(app, ["prune"])
    assert done.exit_code == 0 and "freed 3.0 MB" in done.output
    removed = before - files()
    assert all("gone" in name or name.startswith(("checkpoints/b", "checkpoints/c")) for name in removed)
    assert present.folder.exists() and not other.folder.exists() and not gone.folder.exists()
    assert not [name for name in files() if "gone" in name]
    assert Path("models/scratch").exists() and Path("data/mine.txt").exists()
    assert CliRunner().invoke(app, ["prune"]).output == "freed 0.0 MB\n"


def test_a_training_that_goes_on_is_left_alone(project):
    gone = checkpoint("c", "gone")
    with gone.held(Identity("gone", {}, "", "", ""), "final"):
        assert "checkpoints/c  0.0 MB: stays, a process trains it" in CliRunner().invoke(app, ["prune"]).output
        assert gone.folder.exists()
