"""Encode one dataset: raw text and vocabularies in, ids and a report out."""

from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params
from unroll.engine import text_engine
from unroll.files import read_json
from unroll.text.encoded import MANIFEST
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
    settings = params.load()
    chosen, engine = params.entry("datasets", settings.datasets, dataset), text_engine(settings.compute)
    encode_dataset(dataset, raw, vocab, chosen, out, engine)
    for split, counts in read_json(out / MANIFEST)["splits"].items():
        told = "; ".join(_told(name, field) for name, field in counts.items() if name != "rows")
        typer.echo(f"{dataset}.{split}: {counts['rows']:,} rows; {told}")


def _told(name: str, counts: dict[str, int]) -> str:
    """What was counted of a field of one split, in a line."""
    words = [f"{counts['tokens']:,} tokens", f"{counts['unknown']:,} unknown"]
    words += [f"{counts['spelled']:,} spelled"] if "spelled" in counts else []
    cut = next(key for key in counts if key.startswith("cut_rows"))
    words.append(f"{counts[cut]:,} rows cut" + (" with context: text" if cut.endswith("text") else ""))
    return f"{name} {', '.join(words)}"


if __name__ == "__main__":
    errors.run(app)
