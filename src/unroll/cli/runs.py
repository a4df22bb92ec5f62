"""The command `runs`: all runs of params.yaml and what state they are in."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from unroll.params import Params

OF_A_RUN = ("train", "evaluate", "track")
OF_A_COMBINATION = ("combine", "track_combination")


def runs(
    as_json: Annotated[bool, typer.Option("--json", help="a JSON array with an object a run")] = False,
) -> None:
    """Show every run of params.yaml with its state: done, training, stale or not run.

    A stale run has a model, but its params, its data or the code are others by now: `unroll repro` renews it. Examples:

        unroll runs

        unroll runs --json | jq '.[] | select(.state != "done") | .run'
    """
    from unroll.cli.repro import changed_stages
    from unroll.params import load

    found = list(states(load(), changed_stages(), trained_now(Path.cwd()), Path("models"), Path("results")))
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("run", "kind", "dataset", "state", "stages to run"):
        table.add_column(heading, overflow="fold")
    for row in found:
        table.add_row(row["run"], row["kind"], row["dataset"], row["state"], ", ".join(row["stages"]))
    Console().print(table)


def states(
    params: "Params", changed: Mapping[str, Any], training: set[str], models: Path, results: Path
) -> Iterator[dict[str, Any]]:
    """The state of each run and combination, in the order of params.yaml.

    `changed` are the stages that DVC would run by itself, `training` the runs that are being trained.
    """
    entries: list[tuple[str, str, str, tuple[str, ...]]]
    entries = [(name, run.model.kind, run.dataset, OF_A_RUN) for name, run in params.runs.items()]
    entries += [(name, "combination", one.dataset, OF_A_COMBINATION) for name, one in params.combinations.items()]
    for name, kind, dataset, of_it in entries:
        data = (f"vocab@{dataset}", f"encode@{dataset}", f"fetch@{params.datasets[dataset].corpus}")
        stages = [stage for stage in of_it if f"{stage}@{name}" in changed]
        there = (models / name / "bundle.json").is_file() or (results / name / "metrics.json").is_file()
        if name in training:
            state = "training"
        elif not there:
            state = "not run"
        else:
            state = "stale" if stages or changed.keys() & set(data) else "done"
        yield {"run": name, "kind": kind, "dataset": dataset, "state": state, "stages": stages}


def trained_now(project: Path) -> set[str]:
    """The runs that some process trains in this project at this moment."""
    import psutil

    found = set()
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if "pipeline/train.py" in words[:-1] and Path(process.cwd()) == project:
                found.add(words[words.index("pipeline/train.py") + 1])
        except psutil.Error:  # ended meanwhile, or somebody else's
            continue
    return found
