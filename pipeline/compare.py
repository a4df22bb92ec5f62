"""Compare all runs of params.yaml: their results in, one report out."""

from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params
from unroll.evaluation.comparison import compare as compare_runs

app = typer.Typer(add_completion=False)


@app.command()
def compare(
    results: Annotated[Path, typer.Option(help="folder with the results of each run")],
    out: Annotated[Path, typer.Option(help="folder for comparison.json and comparison.md")],
) -> None:
    """Put the results of all runs into tables."""
    settings = params.load()
    compare_runs(settings.runs, settings.datasets, results).write(out)


if __name__ == "__main__":
    errors.run(app)
