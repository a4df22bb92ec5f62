"""Show one finished run in MLflow: bundle, results and data in, a receipt out."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params
from unroll.files import write_json
from unroll.tracking.run import track_run

app = typer.Typer(add_completion=False)


@app.command()
def track(
    run: str,
    model: Annotated[Path, typer.Option(help="bundle of the run")],
    results: Annotated[Path, typer.Option(help="folder with its history, metrics, samples and figures")],
    data: Annotated[Path, typer.Option(help="encoded data set it was trained on")],
    receipt: Annotated[Path, typer.Option(help="file to write: where MLflow has the run")],
) -> None:
    """Log RUN of params.yaml to MLflow, once."""
    settings = params.load()
    write_json(receipt, asdict(track_run(run, params.entry("runs", settings.runs, run), model, results, data)))


if __name__ == "__main__":
    errors.run(app)
