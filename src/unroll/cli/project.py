"""Commands about the project as a whole: check, compare."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unroll.errors import UserError

if TYPE_CHECKING:
    from unroll.cli.estimates import Estimate
    from unroll.evaluation.paired import Paired
    from unroll.evaluation.tables import Comparison

WIDE = 160  # columns of a table that goes into a file or a pipe
ROOMY = 110  # columns that a terminal has which shows intervals and bytes, too


def check(
    params: Annotated[Path, typer.Option(help="file to check")] = Path("params.yaml"),
    estimate: Annotated[bool, typer.Option("--estimate", help="tell what each run will take, too")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Tell every mistake in params.yaml at once, and what it needs that is not here: files, packages, a GPU.

    With `--estimate` also how many parameters each network has, exactly where its data set is encoded; the memory for
    weights, gradients and optimizer, activations apart; the disk for its weights; and how long its training takes where
    this run was trained before. `--json` gives an object with all of that. Examples:

        unroll check --estimate

        unroll check --params presets/multi30k.yaml
    """
    from unroll.cli.machine import lacking
    from unroll.params import load

    found = load(params)
    if problems := list(lacking(found)):
        raise UserError(f"{params.name}: {problem}" for problem in problems)
    from unroll.cli.estimates import estimates

    counts = {"corpora": len(found.corpora), "datasets": len(found.datasets), "runs": len(found.runs)}
    taken = list(estimates(found, Path("data/encoded"), Path("results"))) if estimate else []
    if as_json:
        told: dict[str, Any] = {"params": str(params), **counts}
        print(json.dumps(told | ({"estimates": [one._asdict() for one in taken]} if estimate else {}), indent=2))
        return
    singular = {"corpora": "corpus", "datasets": "dataset", "runs": "run"}
    said = (f"{count} {singular[name] if count == 1 else name}" for name, count in counts.items())
    print(f"{params}: {', '.join(said)}: all well")
    if estimate:
        _print_estimates(taken)


def _print_estimates(taken: "Sequence[Estimate]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("run")
    for heading in ("parameters", "memory MB", "disk MB", "train s"):
        table.add_column(heading, justify="right")
    for one in taken:
        count = "?" if one.parameters is None else f"{'' if one.exact else 'at most '}{one.parameters:,}"
        sizes = ("?" if size is None else f"{size / 1e6:,.1f}" for size in (one.training_bytes, one.disk_bytes))
        table.add_row(one.run, count, *sizes, "?" if one.seconds is None else f"{one.seconds:,.0f}")
    console = Console()
    console.print(table)
    if any(None in one for one in taken):
        console.print("?: known once the data set is encoded and the run was trained", style="dim")


def compare(
    run_a: Annotated[str | None, typer.Argument(help="a run of params.yaml; by default all are compared")] = None,
    run_b: Annotated[str | None, typer.Argument(help="a run with the same test texts")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Print tables of all runs that have results, or how two runs differ and whether that may be chance. Examples:

    unroll compare

    unroll compare char-lstm char-gru --json
    """
    from rich.console import Console

    if run_a is not None and run_b is None:
        raise UserError(f"compare {run_a}: takes two runs, or none for a table of all")
    results, predictions = Path("results"), Path("predictions")
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    found: Comparison | Paired
    if run_a is not None and run_b is not None:
        from unroll.evaluation.paired import compare_two

        found = compare_two(run_a, run_b, results, predictions)
        shown = found.to_terminal()
    else:
        from unroll.evaluation.comparison import compare as compare_runs
        from unroll.params import load

        settings = load()
        found = compare_runs({**settings.runs, **settings.combinations}, settings.datasets, results, predictions)
        shown = found.to_terminal(wide=console.width >= ROOMY)
    if as_json:
        print(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        console.print(shown)
