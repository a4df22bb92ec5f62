"""What workers of a cluster are given to do; they import it by its name."""

import os
import signal
import time
from pathlib import Path

from unroll.errors import UserError


def slow(shard: Path) -> int:
    """Leaves a file that says which process has worked on a shard, which takes a while."""
    shard.with_name(f"{shard.name}.{os.getpid()}").touch()
    time.sleep(0.5)
    return os.getpid()


def dies_once(shard: Path) -> str:
    """Is killed half-way the first time, and does its work the next."""
    mark = shard.with_name(f"{shard.name}.died")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return shard.name


def fails(shard: int) -> None:
    """Tells a mistake of the user."""
    raise UserError(["one", "two"])
