"""Commands about the project as a whole: check, compare."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unroll.errors import UserError

if TYPE_CHECKING:
    from unroll.evaluation.paired import Paired
    from unroll.evaluation.tables import Comparison

WIDE = 160  # columns of a table that goes into a file or a pipe
ROOMY = 110  # columns that a terminal has which shows intervals, too


def check(
    params: Annotated[Path, typer.Option(help="file to check")] = Path("params.yaml"),
) -> None:
    """Tell every mistake in params.yaml at once, and what it needs that is not here: files, packages, a GPU."""
    from unroll.cli.machine import lacking
    from unroll.params import load

    found = load(params)
    if problems := list(lacking(found)):
        raise UserError(f"{params.name}: {problem}" for problem in problems)
    counts = (
        f"{len(entries)} {one if len(entries) == 1 else many}"
        for entries, one, many in (
            (found.corpora, "corpus", "corpora"),
            (found.datasets, "dataset", "datasets"),
            (found.runs, "run", "runs"),
        )
    )
    print(f"{params}: {', '.join(counts)}: all well")


def compare(
    run_a: Annotated[str | None, typer.Argument(help="a run of params.yaml; by default all are compared")] = None,
    run_b: Annotated[str | None, typer.Argument(help="a run with the same test texts")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Print tables of all runs that have results, or how two runs differ and whether that may be chance."""
    from rich.console import Console

    if run_a is not None and run_b is None:
        raise UserError(f"compare {run_a}: takes two runs, or none for a table of all")
    results, predictions = Path("results"), Path("predictions")
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    found: Comparison | Paired
    if run_a is not None and run_b is not None:
        from unroll.evaluation.paired import compare_two

        found = compare_two(run_a, run_b, results, predictions)
        shown = found.to_terminal()
    else:
        from unroll.evaluation.comparison import compare as compare_runs
        from unroll.params import load

        settings = load()
        found = compare_runs({**settings.runs, **settings.combinations}, settings.datasets, results, predictions)
        shown = found.to_terminal(intervals=console.width >= ROOMY)
    if as_json:
        print(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        console.print(shown)
