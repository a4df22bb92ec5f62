"""Checkpoints: all that training needs to go on as if it had never stopped.

`checkpoints/FINGERPRINT/` has the states of one training, `run.json`, which says whose they are, and its history while
it trains; `checkpoints/FINGERPRINT.lock` is held by the process that trains.
"""

import hashlib
import io
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from filelock import FileLock, Timeout

from unroll.errors import UserError
from unroll.files import read_json, whole_file, write_json
from unroll.training.identity import RUN, Identity
from unroll.training.parallel import Group

if TYPE_CHECKING:
    from unroll.training.copies import Copies

KEPT = 2  # the last one, and the one before, should the last be damaged
STATES = "*.*.pt"  # step, hash of the bytes


@dataclass(frozen=True)
class Checkpoints:
    """States of one training in a folder of its own, each under its step and the hash of its bytes."""

    folder: Path
    copies: "Copies | None" = field(default=None, compare=False)
    """Those in a store elsewhere."""

    @contextmanager
    def held(self, identity: Identity, fingerprint: str, group: Group | None = None) -> Iterator[None]:
        """Be the only ones that train this, for a while; waits for others that do, and says so.

        `fingerprint` is what the finished run will have; who follows the training finds it in `run.json`. Of each host
        the first process of `group` holds it, for all.
        """
        group = group or Group()
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder.parent / f"{self.folder.name}.lock")
        if group.first and not _acquired(lock):
            print(f"{identity.run}: waits for {self._holder()}, which trains this run", file=sys.stderr, flush=True)
        group.wait_for(lambda: not group.first or lock.is_locked or _acquired(lock))
        if not group.first:
            yield
            return
        try:
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            process = {"id": os.getpid(), "host": socket.gethostname(), "started": started}
            stated = {"process": process, "fingerprint": fingerprint, **identity.stated()}
            write_json(self.folder / RUN, stated)
            with self.copies.kept(self.folder) if self.copies else nullcontext():
                yield
            write_json(self.folder / RUN, {**stated, "finished": True})
        finally:
            lock.release()

    def _holder(self) -> str:
        try:
            process = read_json(self.folder / RUN)["process"]
            return f"process {process['id']} on {process['host']} (since {process['started']})"
        except (UserError, OSError, KeyError):
            return "another process"

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write a state whole; older ones but the last before it go."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        path = self.folder / f"{step:010d}.{_digest(buffer.getbuffer())}.pt"
        with whole_file(path, "wb") as file:
            file.write(buffer.getbuffer())
        for old in self._files()[KEPT:]:
            old.unlink()
        if self.copies:
            self.copies.put(path)

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The last whole state; None if there is none. A damaged one is named on stderr and left out."""
        for path in self._files():
            content = path.read_bytes()
            if not is_whole(path.name, content):
                print(f"{path}: damaged, its bytes are not those that were written; not used", file=sys.stderr)
                continue
            try:
                state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
            except Exception as error:  # whatever an unpickler that is given no pickle of ours comes upon
                print(f"{path}: no checkpoint: {type(error).__name__}; not used", file=sys.stderr)
                continue
            return state
        return None

    def clear(self) -> bool:
        """Remove all of it, its copies too, unless a process trains it; whether it is gone."""
        with _free(self.folder) as free:
            if free:
                shutil.rmtree(self.folder, ignore_errors=True)
                if self.copies:
                    self.copies.clear()
        return free

    @property
    def step(self) -> int | None:
        """Updates up to the last state."""
        files = self._files()
        return int(files[0].name.split(".")[0]) if files else None

    def _files(self) -> list[Path]:
        """States, the last step first; of equal steps the one written last."""
        found = self.folder.glob(STATES)
        return sorted(found, key=lambda path: (path.name.split(".")[0], path.stat().st_mtime_ns), reverse=True)


def is_whole(name: str, content: bytes) -> bool:
    """Whether `content` is what was written under `name`."""
    return _digest(content) == name.split(".")[1]


def _digest(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def left_behind(folder: Path) -> Iterator[tuple[Checkpoints, Mapping[str, Any]]]:
    """All checkpoints below `folder` that have a state, each with what it says of its run."""
    for path in sorted(folder.glob(f"*/{RUN}")):
        found = Checkpoints(path.parent)
        if found.step is not None:
            yield found, read_json(path)


def tell_unused(folder: Path, identity: Identity, used: Checkpoints) -> None:
    """Say of each other checkpoint of the same run why training does not go on from it."""
    for found, stated in left_behind(folder):
        if stated.get("run") == identity.run and found != used:
            reasons = "; ".join(identity.differences(stated))
            print(f"{identity.run}: the checkpoint of step {found.step:,} in {found.folder} is not used: {reasons}",
                  file=sys.stderr)  # fmt: skip


def _acquired(lock: FileLock) -> bool:
    """Whether nobody else holds `lock`, which is ours then."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


@contextmanager
def _free(folder: Path) -> Iterator[bool]:
    """Whether no process trains what is in `folder`; none can begin to meanwhile."""
    path = folder.parent / f"{folder.name}.lock"
    if not path.exists():
        yield True
        return
    lock = FileLock(path)
    try:
        with lock.acquire(blocking=False):
            yield True
            path.unlink()
    except Timeout:
        yield False
