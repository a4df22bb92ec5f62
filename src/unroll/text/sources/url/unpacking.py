"""Unpacking archives that are not trusted: nothing leaves the folder, no links or devices, a bounded size."""

import errno
import gzip
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from unroll.errors import UserError
from unroll.text.sources.tars import members_of, open_tar

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MEMBER_COST = 512  # bytes that even an empty member counts for, so that their number is bounded too
CHUNK = 1 << 20

ENCRYPTED = 0x1  # a flag of a member of a zip
THE_ARCHIVES = (None, errno.EINVAL)  # numbers of errors that are not the disk's

Member = tuple[str, bool, IO[bytes] | None]
"""Name, whether it is a regular file or a folder, and the content of a file."""


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
            leaves = place.is_absolute() or ".." in place.parts or "\\" in member
            if leaves or (content is not None and not place.parts):
                raise UserError(f"{name}: member '{member}' lies outside of the archive's own folder; not unpacked")
            if not regular:
                raise UserError(f"{name}: member '{member}' is a link or device; only files and folders are unpacked")
            left -= MEMBER_COST
            if content is not None:
                left = _copy(content, folder / place, left)
            if left < 0:
                raise UserError(f"{name}: unpacks to more than {limit} bytes; raise `max_bytes` if that is right")
    return limit - left


def _members(archive: Path, name: str) -> Iterator[Member]:
    """All members."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                mode = entry.external_attr >> 16
                if entry.flag_bits & ENCRYPTED:
                    raise UserError(f"{name}: member '{entry.filename}' is encrypted; it cannot be unpacked")
                if entry.is_dir():
                    yield entry.filename, True, None
                else:
                    with zipped.open(entry) as content:
                        yield entry.filename, stat.S_IFMT(mode) in (0, stat.S_IFREG), content
    elif name.endswith(TAR_ENDINGS):
        with open_tar(archive) as tar:
            for item in members_of(tar):
                yield item.name, item.isreg() or item.isdir(), tar.extractfile(item) if item.isreg() else None
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
    except UserError:
        raise
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise UserError(f"{name}: two members would be the same file: {Path(str(error.filename)).name}") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UserError(f"{name}: the name of a member is too long: '{str(error.filename)[-40:]}'") from None
        if error.errno not in THE_ARCHIVES:
            raise
        raise UserError(f"{name}: the archive is damaged or of another kind ({error})") from None
    except RuntimeError as error:  # packed in a way that Python cannot read, or nested without end
        raise UserError(f"{name}: the archive cannot be read: {error}") from None
    except Exception as error:  # decoders raise what they come upon: BadZipFile, TarError, LZMAError, EOFError, ...
        raise UserError(f"{name}: the archive is damaged or of another kind ({error})") from None
