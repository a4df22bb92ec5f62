"""What do the commands cost that do no work: help, start-up of the stages, a `dvc repro` where nothing has changed?"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from bench.measure import Out, Quick, Report

ROOT = Path(__file__).parent.parent
STAGES = ("fetch", "vocab", "encode", "train", "evaluate", "track", "compare")
Project = Annotated[Path | None, typer.Option(help="A finished project, for `dvc repro`; left as it is.", exists=True)]

app = typer.Typer(add_completion=False)


@app.command()
def commands(project: Project = None, quick: Quick = False, out: Out = None) -> None:
    """CPU seconds and wall seconds of each command, medians; alternated, so that a busy machine hits all alike."""
    report = Report("commands", "Commands that do no work", 1, quick)
    python = [sys.executable]
    measured: dict[str, tuple[Sequence[str], Path]] = {"python, nothing": ([*python, "-c", ""], ROOT)}
    unroll = [*python, "-c", "from unroll.cli import main; main()"]
    measured["unroll --help"] = ([*unroll, "--help"], ROOT)
    measured |= {f"stage {stage}, --help": ([*python, f"pipeline/{stage}.py", "--help"], ROOT) for stage in STAGES}
    measured["import dvc.repo"] = ([*python, "-c", "import dvc.repo"], ROOT)
    if project:
        measured["dvc repro, no-op"] = ([*python, "-m", "dvc", "repro"], project)
        measured["unroll repro, no-op"] = ([*unroll, "repro"], project)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in measured}
    for turn in range(3 if quick else 7):
        for name, (command, folder) in measured.items():
            spent = _run(command, folder)
            if turn:  # the first compiles and fills caches
                taken[name].append(spent)
    for name, turns in taken.items():
        cpu, wall = (median(column) for column in zip(*turns, strict=True))
        least = min(seconds for seconds, _ in turns)
        report.row({"command": name, "cpu_seconds": cpu, "least_cpu_seconds": least, "wall_seconds": wall})
    report.finish(out)


def _run(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """CPU and wall seconds."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": ""}
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)  # noqa: S603
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        raise typer.BadParameter(f"{' '.join(command)} in {folder} failed:\n{done.stdout}{done.stderr}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, wall


if __name__ == "__main__":
    app()
