"""What a person did wrong, told to the person: one line a problem, exit code 2, no traceback."""

import errno
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

_SPACE = "free some (`unroll prune`, `dvc gc --workspace`) and run it again"
_RIGHTS = "it has to be writable by who runs this"
REFUSALS = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "a file may not be that large here (ulimit -f)",
    errno.EROFS: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
}


class UserError(Exception):
    """A mistake in what was given (params, data, arguments), not in the program.

    Each problem is one line that says where it is, what was found and what would be right.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = list(map(_one_line, [problems] if isinstance(problems, str) else problems))
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type["UserError"], tuple[list[str]]]:
        """Each problem stays a line where it is told by another process than the one that found it."""
        return UserError, (self.problems,)


def _one_line(text: str) -> str:
    """`text` with its line ends and what else cannot be seen as escapes, whatever name or message it has inside."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def complain(error: UserError) -> NoReturn:
    """Print each problem on its own line of stderr and leave with exit code 2."""
    for problem in error.problems:
        print(f"error: {problem}", file=sys.stderr)
    raise SystemExit(2)


def run(app: Callable[..., Any]) -> None:
    """Run a Typer app as the whole program, showing as `complain` does a `UserError` and what the machine refuses."""
    try:
        app()
    except (UserError, MemoryError, OSError) as error:
        told = as_user_error(error)
        if told is None:
            raise
        complain(told)


def as_user_error(error: BaseException) -> UserError | None:
    """`error` as it is told to a person; None if it is a mistake of the program."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError):
        return UserError("out of memory; what was finished is whole")
    return of_the_machine(error) if isinstance(error, OSError) and error.errno in REFUSALS else None


def of_the_machine(error: OSError) -> UserError:
    """What the machine refused, where, and what to do about it."""
    number = error.errno or 0
    where = error.filename if isinstance(error.filename, str) else Path.cwd()
    return UserError(f"{where}: {os.strerror(number)}; {REFUSALS[number]}; what was there before is whole")
