"""`SHA256SUMS` of an exported model: what `sha256sum --check` reads."""

from pathlib import Path

from unroll.errors import UserError
from unroll.files import sha256, whole_file
from unroll.kinds.bundle import INFO, VOCABULARIES, WEIGHTS

SUMS = "SHA256SUMS"
PARTS = (INFO, WEIGHTS, VOCABULARIES)


def write_sums(folder: Path) -> None:
    """Write the SHA-256 of every file below `folder`."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    with whole_file(folder / SUMS) as file:
        file.writelines(f"{sha256(folder / name)}  {name}\n" for name in names)


def verify(folder: Path) -> None:
    """Compare every file that `SHA256SUMS` names; raises `UserError` naming those that are missing, changed or unnamed.

    A folder without the list, a bundle below `models/`, has nothing to be compared with.
    """
    if not (folder / SUMS).is_file():
        return
    problems, named = [], set()
    for line in (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines():
        stated, _, name = line.partition("  ")
        path = folder / name
        named.add(path)
        if not path.is_file():
            problems.append(f"{path}: not there, and {SUMS} names it; export or copy the model again")
        elif sha256(path) != stated:
            problems.append(f"{path}: not the bytes that were exported ({SUMS}); export or copy the model again")
    parts = (path for part in PARTS for path in [folder / part, *(folder / part).rglob("*")] if path.is_file())
    unnamed = (path for path in parts if path not in named)
    problems += [f"{path}: {SUMS} does not name it; export or copy the model again" for path in unnamed]
    if problems:
        raise UserError(problems)
