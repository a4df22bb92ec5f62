"""Copies of checkpoints in a store elsewhere, so that a training goes on on another machine."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from unroll.errors import UserError
from unroll.files import whole_file
from unroll.training.checkpoints import KEPT, STATES, Checkpoints, is_whole

LOOK_SECONDS = 30.0  # for a list of what the store has
LAST_SECONDS = 300.0  # for what is still on its way when training ends

T = TypeVar("T")


class Copies:
    """The states of one training in a folder of its own in a store that fsspec knows, as `s3://bucket/checkpoints`.

    Those on this machine stay the truth: a store that is slow, or away, is told on stderr and stops nothing.
    """

    def __init__(self, run: str, store: str, fingerprint: str) -> None:
        """Raises `UserError` for an address that no installed package can open."""
        from fsspec.core import url_to_fs

        try:
            self.fs, root = url_to_fs(store, use_listings_cache=False)
        except (ValueError, ImportError) as error:
            raise UserError(f"compute.checkpoints: {store}: {error}") from None
        self.run, self.store, self.folder = run, store, f"{root.rstrip('/')}/{fingerprint}"
        self._lock = threading.Lock()
        self._next: Path | None = None
        self._thread: threading.Thread | None = None
        self._away = False

    @contextmanager
    def kept(self, folder: Path) -> Iterator[None]:
        """Fetch the last whole state into `folder`, if none there is as far; at the end finish what `put` has begun."""
        with self._failure_told("is not asked for checkpoints"):
            self._fetch(folder)
        try:
            yield
        finally:
            self._finish()

    def put(self, path: Path) -> None:
        """Have a state copied while training goes on; of those that wait meanwhile the last one alone."""
        with self._lock:
            self._next = path
            if self._thread is None:
                self._thread = threading.Thread(target=self._copy_all, daemon=True)
                self._thread.start()

    def clear(self) -> None:
        """Remove all of them."""
        with self._failure_told("keeps the checkpoints of a training that is done"):
            for name in within(LOOK_SECONDS, self._names):
                self.fs.rm_file(f"{self.folder}/{name}")
            with suppress(OSError):  # object stores have no folders
                self.fs.rmdir(self.folder)

    def _names(self) -> list[str]:
        """Of the states in the store, the last step first."""
        found = self.fs.glob(f"{self.folder}/{STATES}")
        return sorted((path.rpartition("/")[2] for path in found), reverse=True)

    def _fetch(self, folder: Path) -> None:
        here = max((path.name for path in folder.glob(STATES)), default="")
        for name in within(LOOK_SECONDS, self._names):
            if name.split(".")[0] <= here.split(".")[0]:
                return
            content = self.fs.cat_file(f"{self.folder}/{name}")
            if is_whole(name, content):
                with whole_file(folder / name, "wb") as file:
                    file.write(content)
                return
            print(f"{self.folder}/{name}: damaged, its bytes are not those that were written; not used",
                  file=sys.stderr)  # fmt: skip

    def _copy_all(self) -> None:
        while True:
            with self._lock:
                path, self._next = self._next, None
                if path is None:
                    self._thread = None
                    return
            with self._failure_told(f"has no copy of {path.name}"):
                self._copy(path)

    def _copy(self, path: Path) -> None:
        with suppress(FileExistsError):
            self.fs.mkdir(self.folder, create_parents=False)
        self.fs.put_file(str(path), f"{self.folder}/{path.name}")
        for old in self._names()[KEPT:]:
            self.fs.rm_file(f"{self.folder}/{old}")
        if self._away:
            self._away = False
            print(f"{self.run}: {self.store} is back, and has {path.name}", file=sys.stderr, flush=True)

    def _finish(self) -> None:
        """Wait for what is on its way, but not for ever."""
        thread = self._thread
        if thread is not None:
            thread.join(LAST_SECONDS)
            if thread.is_alive():
                print(f"{self.run}: {self.store} has not taken the last checkpoint within {LAST_SECONDS:.0f} seconds",
                      file=sys.stderr, flush=True)  # fmt: skip

    @contextmanager
    def _failure_told(self, what: str) -> Iterator[None]:
        """Whatever a store raises, in words of its own, ends no training: it is told, once until the store is back."""
        try:
            yield
        except Exception as error:
            if not self._away:
                told = f"{type(error).__name__}: {error}".splitlines()[0]
                print(f"{self.run}: {self.store} {what}: {told}; it goes on without", file=sys.stderr, flush=True)
            self._away = True


def checkpoints_of(run: str, fingerprint: str, folder: Path, store: str | None) -> Checkpoints:
    """Those of one training below `folder`, with copies below the address `store`."""
    return Checkpoints(folder / fingerprint, Copies(run, store, fingerprint) if store else None)


def within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns or raises; `TimeoutError` if that takes longer: clients of stores wait for minutes."""
    found: list[T] = []
    failed: list[Exception] = []

    def look() -> None:
        try:
            found.append(call())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError(f"no answer within {seconds:.0f} seconds")
    return found[0]
