"""Commands about the project as a whole: check, compare."""

from pathlib import Path
from typing import Annotated

import typer

WIDE = 160  # columns of a table that goes into a file or a pipe


def check(
    params: Annotated[Path, typer.Option(help="file to check")] = Path("params.yaml"),
) -> None:
    """Tell every mistake in params.yaml at once."""
    from unroll.params import load

    found = load(params)
    counts = (
        f"{len(entries)} {one if len(entries) == 1 else many}"
        for entries, one, many in (
            (found.corpora, "corpus", "corpora"),
            (found.datasets, "dataset", "datasets"),
            (found.runs, "run", "runs"),
        )
    )
    print(f"{params}: {', '.join(counts)}: all well")


def compare() -> None:
    """Print tables of all runs that have results."""
    from rich.console import Console

    from unroll.evaluation.comparison import compare as compare_runs
    from unroll.params import load

    settings = load()
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    console.print(compare_runs(settings.runs, settings.datasets, Path("results")).to_terminal())
