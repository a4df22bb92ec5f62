"""The command `export`: a finished run as a folder that can be given away."""

from pathlib import Path
from typing import Annotated

import typer

from unroll.cli.finished import Run, bundle_of


def export(
    run: Run,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="folder to write; it should not be there yet")],
    graph: Annotated[
        bool, typer.Option("--graph", help="of a recurrent language model: one step as step.pt2, by torch.export, too")
    ] = False,
) -> None:
    """Write a finished run to a folder that stands alone: model, vocabulary, model card, checksums.

    In Python, `unroll.load("DIR")` reads it; all commands that take a run take the folder, too. Examples:

        unroll export translator exported/translator

        unroll translate exported/translator < source.txt

        unroll export char-gru exported/char-gru --graph
    """
    from unroll.exported.export import export_run
    from unroll.files import read_json

    model = bundle_of(run)
    name = read_json(model / "bundle.json")["run"]
    export_run(model, Path("results", name), folder, graph)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {name}, {size / 1e6:,.1f} MB; README.md there says what it is and how to use it")
