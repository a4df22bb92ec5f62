"""Servers for tests of the marker `cluster`: started for them on 127.0.0.1, each in a process of its own, and ended.

What is needed is in the extra `cluster`; PostgreSQL is Debian's (apt install postgresql).
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

HOST = "127.0.0.1"
PATIENCE = 120.0  # seconds until a server answers


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], answers: Callable[[], bool], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server once it `answers`, until the block ends."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **(environment or {})})
    try:
        end = time.monotonic() + PATIENCE
        while not answers():
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def says_ok(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:  # of a server of ours
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


class S3:
    """An S3 server, with a bucket `unroll`, and what finds it: variables of the environment."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.url = process, f"http://{HOST}:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """moto's server, which speaks S3 and keeps objects in memory."""
    for package in ("moto.server", "s3fs", "dvc_s3"):
        pytest.importorskip(package, reason=f"{package} is missing: pip install -e '.[cluster]'")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "--host", HOST, "--port", str(port)]
    with running(command, lambda: says_ok(f"http://{HOST}:{port}/moto-api/"), folder / "s3.log") as process:
        server = S3(process, port)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in server.environment.items():
                patch.setenv(name, value)
            import s3fs

            s3fs.S3FileSystem.clear_instance_cache()  # it would know the server of another module by the same words
            s3fs.S3FileSystem().mkdir("unroll")
            yield server


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The address of an empty database of a PostgreSQL server; its log is in `folder`."""
    pytest.importorskip("psycopg", reason="psycopg is missing: pip install -e '.[cluster]'")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("there is no PostgreSQL: apt install postgresql")
    programs, port = found[-1].parent, free_port()
    user: list[str] = []
    data = Path(tempfile.mkdtemp(prefix="postgres-"))  # where another user may look
    if os.geteuid() == 0:  # as whom PostgreSQL refuses to run
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(data, "postgres", "postgres")
    made = [*user, str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    subprocess.run(made, check=True, capture_output=True, cwd=data)
    serve = [str(programs / "postgres"), "-D", str(data), "-h", HOST, "-p", str(port), "-k", "", "-F"]
    ready = [str(programs / "pg_isready"), "-q", "-h", HOST, "-p", str(port)]
    try:
        with running([*user, *serve], lambda: subprocess.run(ready).returncode == 0, folder / "postgres.log"):
            yield f"postgresql+psycopg://postgres@{HOST}:{port}/postgres"
    finally:
        shutil.rmtree(data)


@contextmanager
def tracking_server(folder: Path, database: str, artifacts: str) -> Iterator[str]:
    """The address of MLflow's server, which alone reaches the database and the store of artifacts."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", database, "--artifacts-destination", artifacts),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    url = f"http://{HOST}:{port}"
    with running(command, lambda: says_ok(f"{url}/health"), folder / "mlflow.log", quiet):
        yield url
