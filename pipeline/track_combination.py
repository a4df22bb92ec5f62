"""Show one combination of runs in MLflow: its results and data in, a receipt out."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params
from unroll.files import write_json
from unroll.kinds.combination.loading import bundles_of
from unroll.tracking.run import track_combination

app = typer.Typer(add_completion=False)


@app.command()
def track(
    combination: str,
    models: Annotated[Path, typer.Option(help="folder with the bundles of all runs")],
    results: Annotated[Path, typer.Option(help="folder with its metrics, samples and figures")],
    data: Annotated[Path, typer.Option(help="encoded data set it was evaluated on")],
    receipt: Annotated[Path, typer.Option(help="file to write: where MLflow has it")],
) -> None:
    """Log COMBINATION of params.yaml to MLflow, once."""
    settings = params.load()
    chosen = params.entry("combinations", settings.combinations, combination)
    bundles = bundles_of(chosen, models)
    write_json(receipt, asdict(track_combination(combination, chosen, bundles, results, data)))


if __name__ == "__main__":
    errors.run(app)
