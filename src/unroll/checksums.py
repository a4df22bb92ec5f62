"""`SHA256SUMS` of a folder: what `sha256sum --check` reads."""

from collections.abc import Mapping
from pathlib import Path

from unroll.errors import UserError
from unroll.files import sha256, whole_file

SUMS = "SHA256SUMS"
REMEDY = "remove the folder, and dvc repro makes it again; one that came from elsewhere: copy it again"


def sums_of(folder: Path) -> dict[Path, str]:
    """The SHA-256 of every file below `folder`, by its path there."""
    return {path.relative_to(folder): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def write_sums(folder: Path, known: Mapping[Path, str] | None = None) -> None:
    """Write the SHA-256 of every file below `folder`; those that are `known` are not read again."""
    (folder / SUMS).unlink(missing_ok=True)
    known = known or {}
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    with whole_file(folder / SUMS) as file:
        for path in sorted(paths, key=Path.as_posix):
            file.write(f"{known.get(path) or sha256(folder / path)}  {path.as_posix()}\n")


def verify(folder: Path) -> None:
    """Compare every file that `SHA256SUMS` names; raises `UserError` naming those that are missing, changed or
    in no line of it.

    A folder without the list has nothing to be compared with.
    """
    if not (folder / SUMS).is_file():
        return
    problems, named = [], {folder / SUMS}
    for line in (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines():
        stated, _, name = line.partition("  ")
        path = folder / name
        named.add(path)
        if not path.is_file():
            problems.append(f"{path}: not there, and {SUMS} names it; {REMEDY}")
        elif sha256(path) != stated:
            problems.append(f"{path}: damaged, these are not the bytes that were written ({SUMS}); {REMEDY}")
    unnamed = sorted(path for path in folder.rglob("*") if path.is_file() and path not in named)
    problems += [f"{path}: {SUMS} does not name it; {REMEDY}" for path in unnamed]
    if problems:
        raise UserError(problems)
