"""Train one run: encoded data in, a bundle and a history out."""

from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params
from unroll.code import kind_dependencies

app = typer.Typer(add_completion=False)


@app.command()
def train(
    run: str,
    data: Annotated[Path, typer.Option(help="encoded data set")],
    vocab: Annotated[Path, typer.Option(help="its vocabularies")],
    model: Annotated[Path, typer.Option(help="bundle to write")],
    results: Annotated[Path, typer.Option(help="folder for history.csv and timing.csv")],
) -> None:
    """Train RUN of params.yaml."""
    settings = params.load()
    from unroll.nn.device import prepare

    device = prepare(settings.compute)
    from unroll.text.encoded import EncodedDataset
    from unroll.training.run import train_run

    chosen = params.entry("runs", settings.runs, run)
    code = kind_dependencies(Path(__file__), chosen.model.kind)
    train_run(run, chosen, EncodedDataset.open(data), vocab, sorted(code), device, model, results)


if __name__ == "__main__":
    errors.run(app)
