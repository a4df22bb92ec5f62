"""Train one run: encoded data in, a bundle and a history out."""

from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params
from unroll.code import kind_dependencies
from unroll.nn.device import prepare
from unroll.training.launch import is_for_many, joined, launch, place
from unroll.training.settings import TrainSettings

app = typer.Typer(add_completion=False)


@app.command()
def train(
    run: str,
    data: Annotated[Path, typer.Option(help="encoded data set")],
    vocab: Annotated[Path, typer.Option(help="its vocabularies")],
    model: Annotated[Path, typer.Option(help="bundle to write")],
    init: Annotated[Path, typer.Option(help="bundle of the run to start from")],
    results: Annotated[Path, typer.Option(help="folder for history.csv and timing.csv")],
    checkpoints: Annotated[Path, typer.Option(help="folder of interrupted trainings, to go on from")],
) -> None:
    """Train RUN of params.yaml."""
    settings = params.load()
    chosen = params.entry("runs", settings.runs, run)
    if isinstance(chosen.train, TrainSettings) and is_for_many(settings.compute):
        launch(run, settings.compute)
    device = prepare(settings.compute, place())
    from unroll.engine import text_engine
    from unroll.text.encoded import EncodedDataset
    from unroll.training.run import train_run

    code = kind_dependencies(Path(__file__), chosen.model.kind)
    with joined(run, device) as group:
        encoded = EncodedDataset.open(data)
        places = model, results, checkpoints, settings.compute.checkpoints
        engine = text_engine(settings.compute)
        train_run(run, chosen, encoded, vocab, init, sorted(code), device, *places, group, engine)


if __name__ == "__main__":
    errors.run(app)
