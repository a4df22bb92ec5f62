"""The command line: what a person asks for beside `dvc repro`. Commands import what they need when they run."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from unroll import errors

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
FIRST_PORT, PORTS = 5000, 20
WIDE = 160  # columns of a table that goes into a file or a pipe


def main() -> None:
    """The program `unroll`."""
    errors.run(app)


@app.callback()
def unroll() -> None:
    """Train, evaluate and compare recurrent language models and sequence-to-sequence models.

    Everything is said in params.yaml; `dvc repro` runs what has changed.
    """


@app.command()
def check(
    params: Annotated[Path, typer.Option(help="file to check")] = Path("params.yaml"),
) -> None:
    """Tell every mistake in params.yaml at once."""
    from unroll.params import load

    found = load(params)
    counts = (
        f"{len(entries)} {one if len(entries) == 1 else many}"
        for entries, one, many in (
            (found.corpora, "corpus", "corpora"),
            (found.datasets, "dataset", "datasets"),
            (found.runs, "run", "runs"),
        )
    )
    print(f"{params}: {', '.join(counts)}: all well")


@app.command()
def compare() -> None:
    """Print tables of all runs that have results."""
    from rich.console import Console

    from unroll.evaluation.comparison import compare as compare_runs
    from unroll.params import load

    settings = load()
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    console.print(compare_runs(settings.runs, settings.datasets, Path("results")).to_terminal())


@app.command()
def ui(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="by default the first free one from 5000")] = None,
) -> None:
    """Browse all runs in MLflow, for this machine's browser alone; Ctrl-C ends it."""
    from unroll.tracking import open_store, tracking_uri

    uri = tracking_uri()
    if uri.startswith(("http://", "https://")):
        print(f"MLFLOW_TRACKING_URI names a server that runs already: {uri}")
        return
    port = _free_port() if port is None else _listen(port)
    with open_store() as (_, experiment):
        link = f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs?workflowType=machine_learning"
    print(f"MLflow starts. In some seconds open\n\n  {link}\n\nCtrl-C ends it.", flush=True)
    # MLflow's job runner is for language model services; it costs seconds and gigabytes.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level=critical"]
    os.execve(sys.executable, command, environment)  # noqa: S606


def _free_port() -> int:
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        try:
            return _listen(port)
        except errors.UserError:
            continue
    raise errors.UserError(f"--port: {FIRST_PORT} to {FIRST_PORT + PORTS - 1} are all in use; name a free port")


def _listen(port: int) -> int:
    """`port`, if this machine lets us listen there; `UserError` if not."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise errors.UserError(f"--port {port}: {error.strerror}; another one, or none, would be right") from None
    return port
