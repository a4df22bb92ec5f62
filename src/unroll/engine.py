"""Who does work that falls into shards: this process, or the machines of a Ray cluster. The result is the same.

A shard's function gives the same for the same shard wherever it runs, and what it gives is put together in the order of
the shards by the process that asked.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import AfterValidator, Field

from unroll.settings import Settings, rule
from unroll.workers import in_order

S = TypeVar("S")
R = TypeVar("R")


class Engine(Protocol):
    """Does work on shards."""

    @property
    def at_once(self) -> int:
        """How many shards are worked on side by side."""

    def map_shards(self, function: Callable[[S], R], shards: Iterable[S]) -> Iterator[R]:
        """`function` of each shard, in order; both can be pickled, and so can what it returns."""


class Local:
    """This machine: this process, or several that it starts, each of which calls `setup` before it works."""

    def __init__(self, processes: int, setup: Callable[[], Any] | None = None) -> None:
        self.at_once, self.setup = processes, setup

    def map_shards(self, function: Callable[[S], R], shards: Iterable[S]) -> Iterator[R]:
        """`function` of each shard, in order."""
        return in_order(function, shards, self.at_once, self.setup)


LOCAL = Local(1)
OVERRIDE = "UNROLL_ENGINE"
"""`local` in the environment: what runs on a cluster already works on its shards itself."""


def _address(text: str) -> str:
    found = re.fullmatch(r"[A-Za-z0-9.-]+:([0-9]{1,5})", text)
    if not found or not 0 < int(found[1]) < 1 << 16:
        raise ValueError(f"should be HOST:PORT, as `ray start --head` names it, found {text!r:.70}")
    return text


class EngineSettings(Settings):
    """The part of `compute` that says who works on shards."""

    engine: Literal["local", "ray"] = "local"
    """Who counts vocabularies and n-grams, encodes, and decodes test parts: this machine, or those of a Ray cluster
    (docs/scale.md); the result is the same."""
    num_workers: int = Field(default=1, ge=1, le=1_024)
    """Processes of this machine that count and encode side by side with `engine: local`; any number gives the same
    bytes."""
    address: Annotated[str, AfterValidator(_address)] | None = None
    """HOST:PORT of the Ray cluster's head, for `engine: ray` and for `unroll repro --jobs ray`."""

    @rule
    def _ray_has_an_address(self) -> Iterator[str]:
        if self.engine == "ray" and self.address is None:
            yield "`engine: ray` needs `address`: HOST:PORT, as `ray start --head` names it"


def text_engine(settings: EngineSettings) -> Engine:
    """Who counts and encodes text."""
    return engine_of(settings, Local(settings.num_workers))


def engine_of(
    settings: EngineSettings, local: Local, setup: Callable[[], Any] | None = None, cpus: int = 1, gpus: int = 0
) -> Engine:
    """The engine that `settings` ask for, `local` or a cluster; that is looked for when it gets its first shards.

    There `setup` is called once in each process before it works, and a shard takes so many CPUs and GPUs.
    """
    if settings.address is None or os.environ.get(OVERRIDE, settings.engine) == "local":
        return local
    from unroll.cluster import RayEngine

    return RayEngine(settings.address, setup, cpus, gpus)
