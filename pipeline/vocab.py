"""Build the vocabularies of one dataset from the training split of its corpus."""

from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params
from unroll.engine import text_engine
from unroll.text.vocabulary import save_vocabularies

app = typer.Typer(add_completion=False)


@app.command()
def vocab(
    dataset: str,
    raw: Annotated[Path, typer.Option(help="its corpus")],
    out: Annotated[Path, typer.Option(help="folder for the vocabularies")],
) -> None:
    """Build the vocabularies of DATASET of params.yaml."""
    settings = params.load()
    chosen, engine = params.entry("datasets", settings.datasets, dataset), text_engine(settings.compute)
    for field, vocabulary in save_vocabularies(raw, chosen, out, engine).items():
        typer.echo(f"{dataset}.{field}: {len(vocabulary):,} ids, unit {vocabulary.unit}")


if __name__ == "__main__":
    errors.run(app)
