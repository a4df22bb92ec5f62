"""The command line: what a person asks for beside `dvc repro`. Commands import what they need when they run."""

import io
import sys

import typer

from unroll import errors
from unroll.cli.caption import caption
from unroll.cli.export import export
from unroll.cli.features import features
from unroll.cli.new_run import new_run
from unroll.cli.pairs import SUMMARIZE, TRANSLATE, decode
from unroll.cli.project import check, compare
from unroll.cli.prune import prune
from unroll.cli.repro import repro
from unroll.cli.runs import runs
from unroll.cli.text import evaluate, generate, score
from unroll.cli.ui import ui

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def main() -> None:
    """The program `unroll`; it writes UTF-8, as it reads it, wherever it runs."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
    errors.run(app)


@app.callback()
def unroll() -> None:
    """Train, evaluate and compare recurrent language models and sequence-to-sequence models.

    Everything is said in params.yaml; `dvc repro` runs what has changed.
    """


for command in (check, runs, new_run, repro, generate, score, caption, evaluate, compare, export, features, prune, ui):
    app.command()(command)
app.command("translate", help=TRANSLATE)(decode)
app.command("summarize", help=SUMMARIZE)(decode)
