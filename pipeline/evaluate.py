"""Evaluate one run: a bundle and the raw test text in, measures, samples, figures and predictions out."""

from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    run: str,
    model: Annotated[Path, typer.Option(help="bundle of the run")],
    data: Annotated[Path, typer.Option(help="encoded data set, with its raw text")],
    history: Annotated[Path, typer.Option(help="history.csv of the run")],
    results: Annotated[Path, typer.Option(help="folder for metrics.json, samples.md and figures")],
    predictions: Annotated[Path, typer.Option(help="folder for hypotheses or scores of single texts")],
    checkpoints: Annotated[Path, typer.Option(help="folder of trainings, from which that of this run goes")],
) -> None:
    """Evaluate RUN of params.yaml on the test split of its data set."""
    settings = params.load()
    from unroll.nn.device import decoding_engine, prepare

    device = prepare(settings.compute)
    from unroll.evaluation.evaluate import evaluate_run
    from unroll.files import read_json
    from unroll.kinds import load_model
    from unroll.kinds.bundle import INFO
    from unroll.text.encoded import EncodedDataset
    from unroll.training.copies import checkpoints_of

    # DVC keeps the trained model by now.
    fingerprint = read_json(model / INFO)["fingerprint"]
    checkpoints_of(run, fingerprint, checkpoints, settings.compute.checkpoints).clear()
    chosen = params.entry("runs", settings.runs, run).evaluate
    engine = decoding_engine(settings.compute, device)
    predictor, dataset = load_model(model, device), EncodedDataset.open(data)
    evaluate_run(predictor, dataset, chosen, [model], history, results, predictions, engine)


if __name__ == "__main__":
    errors.run(app)
