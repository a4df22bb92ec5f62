"""Encode one dataset: raw text and vocabularies in, ids and a report out."""

from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params
from unroll.text.encoded import EncodedDataset
from unroll.text.encoding import encode_dataset

app = typer.Typer(add_completion=False)


@app.command()
def encode(
    dataset: str,
    raw: Annotated[Path, typer.Option(help="its corpus")],
    vocab: Annotated[Path, typer.Option(help="its vocabularies")],
    out: Annotated[Path, typer.Option(help="folder for the encoded dataset")],
) -> None:
    """Encode DATASET of params.yaml."""
    settings = params.entry("datasets", params.load().datasets, dataset)
    encode_dataset(dataset, raw, vocab, settings, out)
    for split, counts in EncodedDataset.open(out).manifest["splits"].items():
        fields = {name: field for name, field in counts.items() if name != "rows"}
        told = ", ".join(
            f"{name} {field['tokens']:,} tokens, {field['unknown']:,} unknown, "
            + (f"{field['spelled']:,} spelled, " if "spelled" in field else "")
            + f"{field['cut_rows']:,} rows cut"
            for name, field in fields.items()
        )
        typer.echo(f"{dataset}.{split}: {counts['rows']:,} rows; {told}")


if __name__ == "__main__":
    errors.run(app)
