"""Stage fetch: a corpus of params.yaml as Parquet, one file a split."""

from pathlib import Path
from typing import Annotated

import typer

from unroll import errors, params
from unroll.errors import UserError
from unroll.files import read_json
from unroll.text import sources
from unroll.text.corpus import SPLITS, write_corpus

app = typer.Typer(add_completion=False)


@app.command()
def fetch(corpus: str, out: Annotated[Path, typer.Option(help="Folder to write.")]) -> None:
    """Read the corpus from its source and write it to OUT."""
    settings = params.entry("corpora", params.load().corpora, corpus)
    try:
        write_corpus(sources.read(settings), out, settings)
    except UserError as error:
        raise UserError(f"corpora.{corpus}: {problem}" for problem in error.problems) from error
    written = read_json(out / "corpus.json")
    counts = [
        f"{split} {written['splits'][split]['rows']:,} rows, {written['splits'][split]['characters']:,} characters"
        for split in SPLITS
    ]
    print(f"{corpus}: {'; '.join(counts)}")


if __name__ == "__main__":
    errors.run(app)
