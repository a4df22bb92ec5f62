"""Compare all runs of params.yaml: their results and predictions in, one report out."""

from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params
from unroll.evaluation.comparison import compare as compare_runs
from unroll.evaluation.inside.across_runs import lag_figures
from unroll.evaluation.report.page import write_page

app = typer.Typer(add_completion=False)


@app.command()
def compare(
    results: Annotated[Path, typer.Option(help="folder with the results of each run")],
    predictions: Annotated[Path, typer.Option(help="folder with what each run left of single test texts")],
    out: Annotated[Path, typer.Option(help="folder for comparison.json, .md and .html, and figures")],
) -> None:
    """Put the results of all runs into tables, with tests of their differences, and their gradients into one figure."""
    settings = params.load()
    gradients = lag_figures(settings.runs, settings.datasets, results)
    entries = {**settings.runs, **settings.combinations}
    comparison = compare_runs(entries, settings.datasets, results, predictions)
    comparison.write(out, gradients)
    write_page(out / "comparison.html", comparison, entries, gradients, results, predictions)


if __name__ == "__main__":
    errors.run(app)
