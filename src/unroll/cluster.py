"""Shards on the machines of a Ray cluster. Ray is imported when a cluster is asked for, and not before.

Every node sees the project's folder at the same path and has the same code and packages: a node that differs says so.
"""

import hashlib
import logging
import os
import platform
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from unroll.errors import UserError

S = TypeVar("S")
R = TypeVar("R")

RETRIES = 3  # of a shard whose worker dies
ANSWERS_WITHIN = 5.0  # seconds in which a cluster that is there takes a connection
AHEAD = 2  # shards given out for each that can be worked on at once
SOURCE = Path(__file__).parent
# What decides the bits of results, beside the code.
PACKAGES = ("numpy", "torch", "pyarrow", "sentencepiece", "pyphen")


def connect(address: str) -> Any:
    """Ray's module, connected to the cluster at `address`; `UserError` where that is not possible."""
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError(
            'compute.address: Ray is not installed here: pip install -c requirements/lock.txt -e ".[ray]"'
        ) from None
    if ray.is_initialized():
        return ray
    host, _, port = address.rpartition(":")
    try:
        # Ray itself tries for minutes.
        socket.create_connection((host, int(port)), ANSWERS_WITHIN).close()
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(_python_path())}},
        )
    except OSError as error:
        raise UserError(
            f"compute.address: no Ray cluster at {address}: {error}; start one with `ray start --head`, or take "
            "`engine: local` and a number for --jobs"
        ) from None
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UserError(
            f"compute.address: {address}: {_first_line(error)}; this machine has to be a node of the cluster, too: "
            f"`ray start --address={address}`"
        ) from None
    return ray


def check_resources(ray: Any, cpus: int, gpus: int) -> int:
    """How many tasks with so many CPUs and GPUs the cluster has room for; `UserError` if no node has for one."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = {"CPU": cpus, "GPU": gpus}
    room = sum(min(int(there.get(name, 0)) // n for name, n in wanted.items() if n) for there in nodes)
    if not room:
        found = "; ".join(f"{there.get('CPU', 0):.0f} and {there.get('GPU', 0):.0f}" for there in nodes)
        raise UserError(
            f"compute: a task takes {cpus} CPUs and {gpus} GPUs, and no node of the Ray cluster has them (CPUs and "
            f"GPUs of each: {found}); change `threads` or `device`, or start nodes that do"
        )
    return room


class RayEngine:
    """Works on shards side by side, on all nodes; a shard whose worker dies is given to another.

    Connects when it gets its first shards. `setup` is called once in a process before it works for a `map_shards`.
    """

    def __init__(self, address: str, setup: Callable[[], Any] | None, cpus: int, gpus: int) -> None:
        self.address, self.setup, self.cpus, self.gpus = address, setup, cpus, gpus

    @cached_property
    def at_once(self) -> int:
        """How many shards are worked on side by side; `UserError` where none can be."""
        return check_resources(connect(self.address), self.cpus, self.gpus)

    def map_shards(self, function: Callable[[S], R], shards: Iterable[S]) -> Iterator[R]:
        """`function` of each shard, in order; what is held does not grow with their number.

        Raises what `function` raises, and `UserError` for what the cluster cannot do.
        """
        ray = connect(self.address)
        work = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=RETRIES)(_work)
        kept = [
            ray.put(_Kept(function, self.setup, str(Path.cwd()), installed()))
        ]  # in a list Ray leaves it what it is
        left = iter(shards)
        waiting = deque(work.remote(kept, shard) for shard in islice(left, AHEAD * self.at_once))
        try:
            while waiting:
                found = self._result(ray, waiting.popleft())
                waiting.extend(work.remote(kept, shard) for shard in islice(left, 1))
                yield found
        finally:
            for task in waiting:
                ray.cancel(task)

    def _result(self, ray: Any, task: Any) -> Any:
        try:
            return ray.get(task)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            lost(self.address, error)


def lost(address: str, error: Exception) -> NoReturn:
    """Says what became of a cluster that was there."""
    raise UserError(
        f"the Ray cluster at {address} failed: {_first_line(error)}; what was finished is whole, run it again"
    ) from None


@dataclass(frozen=True)
class _Kept:
    """What all shards of a `map_shards` have in common; a worker gets it once."""

    function: Callable[[Any], Any]
    setup: Callable[[], Any] | None
    folder: str
    installed: Mapping[str, str]

    def begin(self) -> Callable[[Any], Any]:
        """Makes this process ready to work; `UserError` if its machine is not like the one that asked."""
        enter(self.folder, self.installed)
        if self.setup is not None:
            self.setup()
        return self.function


def enter(folder: str, expected: Mapping[str, str]) -> None:
    """Go to the project's folder; `UserError` if it is not on this node, or other code or packages are."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise UserError(
            f"node {platform.node()}: {folder}: {error.strerror}; all nodes need the project's folder at this path"
        ) from None
    here = installed()
    differing = [
        f"{name} {here[name]} where {found} is asked for" for name, found in expected.items() if here[name] != found
    ]
    if differing:
        raise UserError(f"node {platform.node()} has {', '.join(differing)}; results would not be the same")


_begun: dict[str, Callable[[Any], Any]] = {}


def _work(kept: list[Any], shard: Any) -> Any:
    """In a worker: the function of a `map_shards` of one shard."""
    import ray

    name = kept[0].hex()
    if name not in _begun:
        _begun.clear()
        _begun[name] = ray.get(kept[0]).begin()
    return _begun[name](shard)


def installed() -> dict[str, str]:
    """What results depend on: a hash over our code, the versions of packages."""
    code = hashlib.sha256()
    for path in sorted(SOURCE.rglob("*.py")):
        code.update(path.relative_to(SOURCE).as_posix().encode() + b"\0" + path.read_bytes())
    found = {"unroll": code.hexdigest()[:12]}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return dict.fromkeys(PACKAGES, "none") | found


def _python_path() -> list[str]:
    """Where workers look for code first: where ours is."""
    return [str(SOURCE.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
