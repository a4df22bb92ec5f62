"""Reading tars that are not trusted: their headers take little memory, and none of their members is lost in silence."""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

HEADER_BYTES = 1 << 20  # of a member's longer name and comments, which are read at once
HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class _Member(tarfile.TarInfo):
    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.size < 0 or (found.type in HEADERS and found.size > HEADER_BYTES):
            raise tarfile.ReadError(f"a header of {found.size:,} bytes")
        return found


def open_tar(path: Path) -> tarfile.TarFile:
    """A tar, also behind gzip, bzip2 or xz; a header of more than `HEADER_BYTES` is a `tarfile.ReadError`."""
    return tarfile.open(path, tarinfo=_Member)


def members_of(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members in order; `tarfile.ReadError` where the next one cannot be read, which tarfile takes for the end."""
    for member in tar:
        if tar.offset <= member.offset or member.size < 0:
            raise tarfile.ReadError(f"member '{member.name}' has a negative size")
        yield member
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"what lies at byte {tar.offset:,} is no header of a member")
