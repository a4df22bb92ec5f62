"""Where files lie: a path of this machine, or an address in a store that fsspec knows, as `s3://bucket/folder`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from unroll.errors import UserError


def place(path: str) -> Path:
    """`path` as something that can be searched and opened; an address has all of a `Path` that reading needs."""
    if "://" not in path:
        return Path(path)
    from upath import UPath

    with failure_told(path):
        found = UPath(path)
        found.fs  # noqa: B018  the package that opens such addresses may be missing
    return cast(Path, found)


@contextmanager
def failure_told(path: Path | str) -> Iterator[None]:
    """`UserError` for what a store raises, in words of its own: that it is away, that it lets nobody in, ..."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(path, Path):
            raise
        raise UserError(f"{path}: {type(error).__name__}: {error}") from error
