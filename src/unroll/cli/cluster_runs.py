"""Commands on the nodes of a Ray cluster, as `scheduling.Children` has them on this machine."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from unroll.cluster import RETRIES, connect, enter, installed, lost
from unroll.scheduling import GRACE, Children

# What our environment says of where results go is said on the nodes, too; what it says of this machine is not.
TAKEN = ("AWS_", "DVC_", "MLFLOW_", "UNROLL_")

# Waits for the end of the worker that holds the other end of its standard input, however that comes, and then ends the
# process group: at first so that a training leaves its checkpoint, then for good. Ray ends the children of a worker
# itself, with no such grace and without what these have started: so this is a child of nobody.
GUARD = """
import os, signal, sys, time
if os.fork():
    os._exit(0)
group, grace = int(sys.argv[1]), float(sys.argv[2])
sys.stdin.read()
try:
    os.killpg(group, signal.SIGTERM)
    end = time.monotonic() + grace
    while time.monotonic() < end:
        time.sleep(0.1)
        os.killpg(group, 0)
    os.killpg(group, signal.SIGKILL)
except ProcessLookupError:
    pass
"""


class ClusterChildren(Children):
    """Child processes, of which those of `run_on_cluster` are on the nodes of a Ray cluster."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.ray = connect(address)
        self._tasks: set[Any] = set()
        self._guarded = threading.Lock()

    def run_on_cluster(
        self,
        modules: Sequence[str],
        environment: Mapping[str, str],
        show: Callable[[str], None],
        cpus: int,
        gpus: int,
    ) -> int:
        """As `run`, on some node that has so many CPUs and GPUs: its Python with the arguments `modules`.

        Begins again, on another node perhaps, if its worker dies. Raises `UserError` for a node that is not like this
        machine, and for a cluster that is lost.
        """
        taken = {name: value for name, value in os.environ.items() if name.startswith(TAKEN)}
        arguments = (list(modules), str(Path.cwd()), installed(), {**taken, **environment})
        work = self.ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0, num_returns="streaming")(_on_node)
        for tries_left in reversed(range(RETRIES + 1)):
            if self.stopped_by:
                break
            try:
                return self._followed(work.remote(*arguments), show)
            except self.ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except self.ray.exceptions.TaskCancelledError:
                break
            except self.ray.exceptions.RayError as error:
                if self.stopped_by:
                    break
                if not tries_left:
                    lost(self.address, error)
                show("the worker on the cluster died; begun again")
                time.sleep(GRACE + 1)  # so that what it left behind has ended
        return -(self.stopped_by or signal.SIGTERM)

    def _followed(self, task: Any, show: Callable[[str], None]) -> int:
        """Show the lines of a task as they come; its exit code."""
        with self._guarded:
            self._tasks.add(task)
        try:
            if self.stopped_by:
                self.ray.cancel(task, force=True)
            for found in map(self.ray.get, task):
                if isinstance(found, int):
                    return found
                if not self.stopped_by:
                    show(found)
        finally:
            with self._guarded:
                self._tasks.discard(task)
        raise self.ray.exceptions.WorkerCrashedError

    def stop(self, number: int) -> None:
        super().stop(number)
        for task in list(self._tasks):
            with suppress(self.ray.exceptions.RayError):
                self.ray.cancel(task, force=True)  # the guard of each ends what it runs


def _on_node(
    modules: list[str], folder: str, expected: Mapping[str, str], environment: Mapping[str, str]
) -> Iterator[str | int]:
    """In a worker: run Python with the arguments `modules` in the project's folder; each line, and the exit code."""
    enter(folder, expected)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, *modules],
        env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    guarding = [sys.executable, "-c", GUARD, str(process.pid), str(GRACE)]
    guard = subprocess.Popen(guarding, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603
    guard.wait()
    assert process.stdout and guard.stdin
    try:
        for line in process.stdout:
            yield line.rstrip("\n")
        yield process.wait()
    finally:
        guard.stdin.close()
        process.wait()
