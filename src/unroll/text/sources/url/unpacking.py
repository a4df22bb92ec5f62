"""Unpacking archives that are not trusted: nothing leaves the folder, no links or devices, a bounded size."""

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from unroll.errors import UserError

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MEMBER_COST = 512  # bytes that even an empty member counts for, so that their number is bounded too
CHUNK = 1 << 20

Member = tuple[str, bool, IO[bytes]]
"""Name, whether it is a regular file, and its content."""


def unpack(archive: Path, name: str, folder: Path, limit: int) -> int:
    """Put the files of `archive`, called `name`, below `folder`; how many bytes they take.

    What is no archive by its name is linked there as it is. `UserError` for a damaged archive, for a member that
    would lie outside of `folder` or is no regular file, and for more than `limit` bytes.
    """
    if not name.endswith((".zip", ".gz", *TAR_ENDINGS)):
        (folder / name).symlink_to(archive.resolve())
        return 0
    left = limit
    with _damage_told(name):
        for member, regular, content in _members(archive, name):
            place = PurePosixPath(member)
            if place.is_absolute() or ".." in place.parts or "\\" in member or not place.parts:
                raise UserError(f"{name}: member '{member}' lies outside of the archive's own folder; not unpacked")
            if not regular:
                raise UserError(f"{name}: member '{member}' is a link or device; only files and folders are unpacked")
            left = _copy(content, folder / place, left - MEMBER_COST)
            if left < 0:
                raise UserError(f"{name}: unpacks to more than {limit} bytes; raise `max_bytes` if that is right")
    return limit - left


def _members(archive: Path, name: str) -> Iterator[Member]:
    """The members that are not folders."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                mode = entry.external_attr >> 16
                if not entry.is_dir():
                    with zipped.open(entry) as content:
                        yield entry.filename, stat.S_IFMT(mode) in (0, stat.S_IFREG), content
    elif name.endswith(TAR_ENDINGS):
        with tarfile.open(archive) as tar:
            for item in tar:
                if not item.isdir():
                    content_or_none = tar.extractfile(item) if item.isreg() else None
                    yield item.name, item.isreg(), content_or_none or cast(IO[bytes], None)
    else:
        with gzip.open(archive) as file:
            yield name.removesuffix(".gz"), True, cast(IO[bytes], file)


def _copy(content: IO[bytes], path: Path, left: int) -> int:
    """Write `content` as a new file; what is left of the limit, negative once it is passed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        while left >= 0 and (chunk := content.read(CHUNK)):
            left -= len(chunk)
            if left >= 0:
                file.write(chunk)
    return left


@contextmanager
def _damage_told(name: str) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise UserError(f"{name}: two members would be the same file: {Path(str(error.filename)).name}") from None
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise UserError(f"{name}: the archive is damaged or of another kind ({error})") from None
    except OSError as error:
        if error.errno is not None:  # the disk's, not bzip2's
            raise
        raise UserError(f"{name}: the archive is damaged ({error})") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a way that Python cannot read
        raise UserError(f"{name}: the archive cannot be read: {error}") from None
