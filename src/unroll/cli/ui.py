"""The command `ui`: MLflow, for this machine's browser alone."""

import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from urllib.request import ProxyHandler, build_opener

import typer

from unroll import errors

FIRST_PORT, PORTS = 5000, 20
PAUSE, PATIENCE = 0.3, 60.0  # seconds between two looks whether MLflow answers, and for one answer


def ui(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="by default the first free one from 5000")] = None,
) -> None:
    """Browse all runs in MLflow, for this machine's browser alone; Ctrl-C ends it.

    As long as it runs, trainings of this project are shown as far as they are. Where MLFLOW_TRACKING_URI names a server
    that runs already, they are shown there. Examples:

        unroll ui

        MLFLOW_TRACKING_URI=https://mlflow.example.org unroll ui
    """
    from unroll.scheduling import Children
    from unroll.tracking.live import Follower
    from unroll.tracking.store import VIEW, open_store, tracking_uri

    uri = tracking_uri()
    if uri.startswith(("http://", "https://")):
        print(
            f"MLFLOW_TRACKING_URI names a server that runs already: {uri}\nTrainings are shown there. Ctrl-C ends it."
        )
        with suppress(KeyboardInterrupt):
            Follower(Path("checkpoints")).follow(threading.Event())
        return
    port = _free_port() if port is None else _listen(port)
    with open_store() as (_, experiment):
        page = f"experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"
    link = f"http://127.0.0.1:{port}/#/{page}"
    print("MLflow starts ...", flush=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level=critical"]
    children = Children()
    with children.end_with_us():
        threading.Thread(target=_announce, args=(port, link), daemon=True).start()
        follower, end = Follower(Path("checkpoints")), threading.Event()
        following = threading.Thread(target=follower.follow, args=(end,), daemon=True)
        following.start()
        code = children.run(command, server_environment(port))
        end.set()
        following.join()
    raise SystemExit(0 if children.stopped_by else code)


def server_environment(port: int) -> dict[str, str]:
    """The environment of an MLflow that answers to the names of this machine alone.

    By default it answers to any name like `10.*`, which somebody else's name may begin with and lead here (DNS
    rebinding).
    """
    names = [f"127.0.0.1:{port}", f"localhost:{port}"]
    return {
        **os.environ,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(names),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}" for name in names),
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
        # MLflow's job runner is for language model services; it costs seconds and gigabytes.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore",
    }


def _announce(port: int, link: str) -> None:
    """Print the link once MLflow answers there."""
    begun, direct = time.monotonic(), build_opener(ProxyHandler({}))
    while True:
        with suppress(OSError):
            direct.open(f"http://127.0.0.1:{port}/health", timeout=PATIENCE).close()
            break
        time.sleep(PAUSE)
    took = time.monotonic() - begun
    print(f"MLflow answers, after {took:.0f} s:\n\n  {link}\n\nCtrl-C ends it.", flush=True)


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
