"""Writing so that a file or folder appears whole or not at all, and reading it back."""

import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from unroll.errors import UserError

BEFORE = "-before"  # of what a folder takes the place of, for the moment that this takes


@contextmanager
def whole_file(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; sync it and move it into place when the block ends well."""
    handle, name = tempfile.mkstemp(prefix=_prefix(path), dir=path.parent)
    try:
        encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
        with os.fdopen(handle, mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
        _sync(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; it takes the place of `path` when the block ends well."""
    folder = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))
    try:
        yield folder
        for written in (*folder.rglob("*"), folder):
            written.chmod(0o755 if written.is_dir() else 0o644)  # who writes weights keeps them to the owner
            _sync(written)
        _put(folder, path)
        _sync(path.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _put(folder: Path, path: Path) -> None:
    """Have `folder` take the place of `path`, also where another process does the same with one of its own."""
    before = folder.with_name(f"{folder.name}{BEFORE}")
    while True:
        with suppress(FileNotFoundError):
            path.rename(before)
        try:
            folder.rename(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            break
        shutil.rmtree(before, ignore_errors=True)
    shutil.rmtree(before, ignore_errors=True)


def _prefix(path: Path) -> str:
    """How the names of temporary files for `path` begin; what a process that was killed left of them is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        owner = left.name.removeprefix(f".{path.name}.").partition("-")[0]
        if not owner.isdecimal() or is_alive(int(owner)):
            continue
        if left.name.endswith(BEFORE) and not path.exists():  # killed between the two renamings
            left.rename(path)
        elif left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
    return f".{path.name}.{os.getpid()}-"


def is_alive(process: int) -> bool:
    """Whether there is a process with this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _sync(path: Path) -> None:
    """Have the disk take what was written to a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON; NaN and infinities are refused (`ValueError`)."""
    with whole_file(path) as file:
        json.dump(value, file, ensure_ascii=False, indent=2, allow_nan=False)
        file.write("\n")


def read_json(path: Path) -> Any:
    """Read one JSON value from `path`; raises `UserError` if it holds none, as a file that was cut."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"no valid JSON: {error}") from None


def damaged(path: Path, found: str) -> UserError:
    """What is raised for an output of the pipeline that is not as it was written."""
    return UserError(f"{path}: {found}; the file is damaged: remove it, and dvc repro makes it again")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
