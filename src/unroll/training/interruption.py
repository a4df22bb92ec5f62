"""Ctrl-C and SIGTERM, answered where training can go on from."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """Training was asked to stop, by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Interruption:
    """In its block a first signal is kept until `look` asks for it; a second one does what it did before."""

    def __init__(self) -> None:
        self._asked: int | None = None
        self._at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self._asked is not None

    def look(self) -> None:
        """Raise `Stopped` if a signal has come."""
        if self._asked is not None:
            raise Stopped(self._asked)

    def stop(self) -> NoReturn:
        """Raise `Stopped` because of the signal that has come, here or to another process."""
        raise Stopped(self._asked or signal.SIGTERM)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A block that a signal breaks off, since nothing of it is to be kept."""
        self.look()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._asked = number
        self._restore()
        if self._at_once:
            self._at_once = False
            raise Stopped(number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
