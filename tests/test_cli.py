"""The program `unroll` as a person starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from unroll.cli import app
from unroll.cli.ui import _announce


class Healthy(BaseHTTPRequestHandler):
    """A server that comes up: its page is there when it is ready."""

    ready = False

    def do_GET(self) -> None:
        self.send_response(200 if self.ready else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


ROOT = Path(__file__).parent.parent
GOOD = {
    "corpora": {"tiny": {"source": "files", "path": "data/tiny", "train": "a.txt", "valid": "b.txt", "test": "c.txt"}},
    "datasets": {"tiny-char": {"corpus": "tiny", "fields": {"text": {"unit": "char"}}, "max_length": 30}},
    "combinations": {},
    "runs": {
        f"lstm-{seed}": {
            "dataset": "tiny-char",
            "init": "scratch",
            "model": {"kind": "language_model", "cell": "lstm", "embedding": 4, "hidden": 8},
            "train": {"context": "stream", "bptt": 8, "batch_size": 4, "lr": 0.01, "steps": 4},
            "evaluate": {},
            "seed": seed,
        }
        for seed in (1, 2)
    },
}


def unroll(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "DVC_ROOT")}
    return subprocess.run(
        [sys.executable, "-c", "from unroll.cli import main; main()", *arguments],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    """A project's folder whose params.yaml is right (JSON is YAML)."""
    (tmp_path / "params.yaml").write_text(json.dumps(GOOD))
    (tmp_path / "data" / "tiny").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / "data" / "tiny" / name).write_text("some text\n")
    return tmp_path


def test_help_names_every_command(folder):
    done = unroll("--help", folder=folder)
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("check", "compare", "ui"))


def test_help_needs_nothing_heavy():
    """Its start-up time is that of its imports."""
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from unroll.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "mlflow", "dvc", "datasets", "numpy", "pandas", "pyarrow", "pydantic", "matplotlib", "sklearn"}
    assert heavy & set(done.stdout.split()) == set()


def test_check_of_a_right_file(folder):
    done = unroll("check", folder=folder)
    assert (done.returncode, done.stdout) == (0, "params.yaml: 1 corpus, 1 dataset, 2 runs: all well\n")


def test_check_estimates_what_runs_take(folder):
    done = unroll("check", "--estimate", folder=folder)
    assert done.returncode == 0, done.stderr
    heading, first, second, legend = (line.split() for line in done.stdout.splitlines()[1:])
    assert legend[0] == "?:"
    assert heading == ["run", "parameters", "memory", "MB", "disk", "MB", "train", "s"]
    assert (first, second) == (["lstm-1", "?", "?", "?", "?"], ["lstm-2", "?", "?", "?", "?"])


def test_check_tells_every_mistake_without_a_traceback(folder):
    wrong = json.loads(json.dumps(GOOD))
    wrong["runs"]["lstm-1"]["dataset"] = "tiny-chr"
    wrong["runs"]["lstm-2"]["train"]["lr"] = "fast"
    (folder / "other.yaml").write_text(json.dumps(wrong))
    done = unroll("check", "--params", "other.yaml", folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "runs.lstm-1.dataset" in done.stderr
    assert "did you mean 'tiny-char'?" in done.stderr
    assert "runs.lstm-2.train.lr" in done.stderr
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())


def test_check_tells_what_is_not_here(folder):
    lacking = json.loads(json.dumps(GOOD))
    lacking["corpora"] |= {
        "mine": {**GOOD["corpora"]["tiny"], "path": "data/mine"},
        "globs": {**GOOD["corpora"]["tiny"], "train": "*.csv"},
        "docs": {"source": "docstrings", "path": "lock.txt", "packages": ["numpy", "no-such-package"]},
        "phrases": {"source": "phrasebook", "path": "grammar", "languages": ["en", "de"]},
    }
    lacking["runs"]["lstm-1"]["model"]["vectors"] = {"path": "vectors.txt", "sha256": "0" * 64}
    (folder / "params.yaml").write_text(json.dumps(lacking))
    done = unroll("check", folder=folder)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: params.yaml: corpora.mine: data/mine: no such file or folder; it should hold a.txt, b.txt, c.txt",
        "error: params.yaml: corpora.globs: train: nothing in data/tiny matches '*.csv'; there is a.txt, b.txt, c.txt",
        "error: params.yaml: corpora.docs: packages: 'no-such-package' is not installed here; "
        "`pip install no-such-package` or take it off the list",
        "error: params.yaml: corpora.phrases.path: there is no grammar, which DVC is to watch",
        "error: params.yaml: runs.lstm-1.model.vectors.path: there is no file vectors.txt",
    ]


def test_a_gpu_that_is_not_there_is_told(folder):
    params = {**GOOD, "compute": {"device": "cuda"}}
    (folder / "params.yaml").write_text(json.dumps(params))
    done = unroll("check", folder=folder, CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stderr) == (
        2,
        "error: params.yaml: compute.device: cuda, and there is no GPU here that PyTorch can use; take auto or cpu\n",
    )


@pytest.mark.parametrize(("name", "words"), [("none.yaml", "there is no such file"), (".", "cannot be read")])
def test_check_without_a_file(tmp_path, name, words):
    done = unroll("check", "--params", name, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {name}: {words}")
    assert len(done.stderr.splitlines()) == 1


def test_compare_prints_what_there_is(folder):
    results = folder / "results" / "lstm-1"
    results.mkdir(parents=True)
    test = {"bits_per_char": 2.125, "perplexity": 4.36, "unit": "char", "context": "stream"}
    (results / "metrics.json").write_text(json.dumps({"test": test, "cost": {"parameters": 1000}}))
    done = unroll("compare", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "2.125" in done.stdout
    assert "Without results so far: lstm-2" in done.stdout


def test_ui_says_when_a_port_is_taken(folder):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = unroll("ui", "--port", str(port), folder=folder)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --port {port}: ")


def test_ui_prints_its_link_once_there_is_an_answer(capsys, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    waiting = threading.Thread(target=_announce, args=(port, "the link"), daemon=True)
    waiting.start()
    time.sleep(0.1)
    assert capsys.readouterr().out == ""
    with HTTPServer(("127.0.0.1", port), Healthy) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        time.sleep(0.1)
        assert capsys.readouterr().out == "", "it answers that it is not ready"
        Healthy.ready = True
        waiting.join(10)
        server.shutdown()
    assert not waiting.is_alive()
    assert "the link" in capsys.readouterr().out


def test_ui_starts_nothing_where_a_server_is_named(folder):
    with subprocess.Popen(
        [sys.executable, "-uc", "from unroll.cli import main; main()", "ui"],
        cwd=folder,
        env={**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout and following.stderr
        assert "http://127.0.0.1:9" in following.stdout.readline()
        assert psutil.Process(following.pid).children() == []
        time.sleep(0.5)
        following.send_signal(signal.SIGINT)
        try:
            assert (following.wait(30), following.stderr.read()) == (0, "")
        finally:
            following.kill()


@pytest.mark.parametrize("command", sorted(info.name or info.callback.__name__ for info in app.registered_commands))
def test_every_command_shows_how_it_is_used(command):
    shown = CliRunner().invoke(app, [command.replace("_", "-"), "--help"], terminal_width=200)
    assert shown.exit_code == 0
    assert "Examples:" in shown.output and f"unroll {command.replace('_', '-')}" in shown.output.split("Examples:")[1]


def test_check_as_json(monkeypatch):
    monkeypatch.chdir(ROOT)
    told = CliRunner().invoke(app, ["check", "--estimate", "--json"])
    found = json.loads(told.output)
    assert (found["corpora"], found["runs"]) == (3, 8)
    assert [one["run"] for one in found["estimates"]][:2] == ["char-lstm", "char-gru"]
