"""Decode with several finished runs as one: bundles and raw test text in, measures, samples, predictions out."""

from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params

app = typer.Typer(add_completion=False)


@app.command()
def combine(
    combination: str,
    models: Annotated[Path, typer.Option(help="folder with the bundles of all runs")],
    data: Annotated[Path, typer.Option(help="encoded data set, with its raw text")],
    results: Annotated[Path, typer.Option(help="folder for metrics.json, samples.md and figures")],
    predictions: Annotated[Path, typer.Option(help="folder for hypotheses")],
) -> None:
    """Evaluate COMBINATION of params.yaml on the test split of its data set."""
    settings = params.load()
    from unroll.nn.device import decoding_engine, prepare

    device = prepare(settings.compute)
    from unroll.evaluation.evaluate import evaluate_run
    from unroll.kinds.combination.loading import bundles_of, load_combination
    from unroll.text.encoded import EncodedDataset

    chosen = params.entry("combinations", settings.combinations, combination)
    engine = decoding_engine(settings.compute, device)
    predictor, dataset = load_combination(combination, chosen, models, device), EncodedDataset.open(data)
    evaluate_run(predictor, dataset, chosen.evaluate, bundles_of(chosen, models), None, results, predictions, engine)


if __name__ == "__main__":
    errors.run(app)
