"""The command `new-run`: params.yaml with one more run, and nothing else changed."""

import difflib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unroll.cli import app
from unroll.cli.new_run import with_run
from unroll.errors import UserError
from unroll.params import load

ROOT = Path(__file__).parent.parent
PARAMS = (ROOT / "params.yaml").read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("source", ["char-lstm", "char-elman", "char-6gram", "summarizer"])
def test_lines_are_added_and_none_is_changed(project, source):
    changes = ["seed=7", 'evaluate={"metric": rouge}'] if source == "summarizer" else ["seed=7"]
    result = CliRunner().invoke(app, ["new-run", "mine", "--from", source, *changes])
    assert result.exit_code == 0, result.output
    text = (project / "params.yaml").read_text(encoding="utf-8")
    changed = [line for line in difflib.ndiff(PARAMS.splitlines(), text.splitlines()) if line[0] in "-+"]
    assert changed[0] == "+   mine:" and all(line.startswith("+") for line in changed)
    new, old = load(Path("params.yaml")).runs["mine"], load(Path("params.yaml")).runs[source]
    assert new.seed == 7 and new.model == old.model and new.train == old.train
    assert [path.name for path in project.iterdir()] == ["params.yaml"]


def test_single_keys_of_shared_settings_are_changed_in_the_new_run_alone(project):
    arguments = ["new-run", "wide", "--from", "char-gru", "model.hidden=512", "train.lr=0.002"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    runs = load(Path("params.yaml")).runs
    assert (runs["wide"].model.hidden, runs["wide"].train.lr) == (512, 0.002)
    assert (runs["char-gru"].model.hidden, runs["char-gru"].train.lr) == (256, 0.004)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine", "--from", "char-lstn"], "did you mean 'char-lstm'?"),
        (["char-gru", "--from", "char-lstm"], "char-gru: there is a run of that name"),
        (["mine", "--from", "char-lstm", "lr"], "lr: should be key=value"),
        (["mine", "--from", "char-lstm", "seed.x=1"], "seed.x=1: there is a value in place of seed"),
        (["mine", "--from", "char-lstm", "train.lrr=1"], "runs.mine.train.lrr"),
        (["mine", "--from", "char-lstm", "train.lr=fast"], "runs.mine.train.lr"),
        (["bad/name", "--from", "char-lstm"], "bad/name"),
    ],
)
def test_what_is_not_right_is_not_written(project, arguments, message):
    result = CliRunner().invoke(app, ["new-run", *arguments])
    assert isinstance(result.exception, UserError), result.output
    assert message in str(result.exception)
    assert (project / "params.yaml").read_text(encoding="utf-8") == PARAMS
    assert [path.name for path in project.iterdir()] == ["params.yaml"]


def test_a_file_in_braces_is_refused():
    with pytest.raises(UserError, match="written in braces"):
        with_run('{"runs": {"a": {"seed": 1}}}', "b", "a", [])
