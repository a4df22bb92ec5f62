"""What a person did wrong, told to the person: one line a problem, exit code 2, no traceback."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn


class UserError(Exception):
    """A mistake in what was given (params, data, arguments), not in the program.

    Each problem is one line that says where it is, what was found and what would be right.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = list(map(_one_line, [problems] if isinstance(problems, str) else problems))
        super().__init__("\n".join(self.problems))


def _one_line(text: str) -> str:
    """`text` with its line ends and what else cannot be seen as escapes, whatever name or message it has inside."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def complain(error: UserError) -> NoReturn:
    """Print each problem on its own line of stderr and leave with exit code 2."""
    for problem in error.problems:
        print(f"error: {problem}", file=sys.stderr)
    raise SystemExit(2)


def run(app: Callable[..., Any]) -> None:
    """Run a Typer app as the whole program, showing a `UserError` as `complain` does."""
    try:
        app()
    except UserError as error:
        complain(error)
