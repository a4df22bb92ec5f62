"""Files by name, in a folder or a tar."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from unroll.errors import UserError
from unroll.images import FILE_BYTES, read_file
from unroll.text.sources.tars import members_of, open_tar


class Store(Protocol):
    """Files, each read when it is asked for."""

    @property
    def names(self) -> list[str]:
        """The names of all files, as paths below the store, in order."""

    def read(self, name: str) -> bytes:
        """The bytes of one; `UserError` if it is larger than an image may be."""


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())

    def read(self, name: str) -> bytes:
        return read_file(self.path / name)


class _Tar:
    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self.path, self.tar = path, tar
        with _damage_told(path):
            files = [member for member in members_of(tar) if member.isfile()]
        self.members = {PurePosixPath(member.name).as_posix(): member for member in files}
        self.names = sorted(self.members)

    def read(self, name: str) -> bytes:
        member = self.members[name]
        if member.size > FILE_BYTES:
            raise UserError(f"{self.path}: {name}: {member.size:,} bytes, where {FILE_BYTES:,} are the most")
        with _damage_told(self.path):
            file = self.tar.extractfile(member)
            assert file is not None
            return file.read()


@contextmanager
def open_store(path: Path) -> Iterator[Store]:
    """The files of a folder, or of a tar (also .tar.gz and its like); `UserError` for a tar that cannot be read."""
    if path.is_dir():
        yield _Folder(path)
        return
    with _damage_told(path):
        tar = open_tar(path)
    with tar:
        yield _Tar(path, tar)


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # decoders raise what they come upon: TarError, EOFError, OSError, LZMAError, ...
        raise UserError(f"{path}: neither a folder nor a whole tar: {error}") from None
