"""Lines that a command reads."""

import io
import select
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from unroll.errors import UserError

BOM = b"\xef\xbb\xbf"
CHUNK = 1 << 16  # bytes read at a time


class Lines:
    """The lines of a file, without their ends, as they come; a UTF-8 mistake is told by its place.

    A byte order mark at the beginning is dropped, as it is from the files of a corpus.
    """

    def __init__(self, file: io.BufferedIOBase | BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._there: deque[bytes] = deque()
        self._begun: list[bytes] = []
        self._ended = False

    @classmethod
    def of(cls, path: Path) -> Self:
        """The lines of a file by its path."""
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        return cls(path.open("rb"), str(path))

    def __iter__(self) -> Iterator[str]:
        number = place = 0
        while self._there or not self._ended:
            if not self._there:
                self._receive()
                continue
            line = self._there.popleft()
            number += 1
            mark = len(BOM) if number == 1 and line.startswith(BOM) else 0
            try:
                yield line[mark:].decode("utf-8").removesuffix("\r")
            except UnicodeDecodeError as error:
                byte = place + mark + error.start
                raise UserError(f"{self._name}: not UTF-8 at byte {byte}, in line {number}") from None
            place += len(line) + 1

    def waits(self) -> bool:
        """Whether what has come should be dealt with first: the next line is not there yet, or no text."""
        while not self._there and not self._ended:
            if not self._ready():
                return True
            self._receive()
        return bool(self._there) and not _is_text(self._there[0])

    def _ready(self) -> bool:
        try:
            return bool(select.select([self._file.fileno()], [], [], 0)[0])
        except io.UnsupportedOperation:  # it has no file: all of it is in memory
            return True

    def _receive(self) -> None:
        """Read what there is, waiting for it if need be."""
        chunk = self._file.read1(CHUNK)  # type: ignore[union-attr]
        first, *others = chunk.split(b"\n")
        self._begun.append(first)
        if others or (not chunk and any(self._begun)):
            self._there.append(b"".join(self._begun))
            self._there.extend(others[:-1])
            self._begun = others[-1:]
        self._ended = not chunk


def _is_text(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
