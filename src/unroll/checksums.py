"""`SHA256SUMS` of a folder: what `sha256sum --check` reads."""

from pathlib import Path

from unroll.errors import UserError
from unroll.files import sha256, whole_file

SUMS = "SHA256SUMS"
REMEDY = "remove the folder, and dvc repro makes it again; one that came from elsewhere: copy it again"


def write_sums(folder: Path) -> None:
    """Write the SHA-256 of every file below `folder`."""
    (folder / SUMS).unlink(missing_ok=True)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    with whole_file(folder / SUMS) as file:
        file.writelines(f"{sha256(folder / name)}  {name}\n" for name in names)


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
