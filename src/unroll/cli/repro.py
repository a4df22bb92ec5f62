"""The command `repro`: what `dvc repro` would run, independent parts side by side."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unroll.cli.mending import mend_run_cache, mended
from unroll.errors import UserError

if TYPE_CHECKING:
    from unroll.cli.cluster_runs import ClusterChildren
    from unroll.nn.device import ComputeSettings
    from unroll.params import Params
    from unroll.scheduling import Children

# DVC holds its lock while it hashes and caches, not while a stage's command runs; one that comes meanwhile waits.
MODULE = ("-m", "dvc", "--wait-for-lock")
DVC = (sys.executable, *MODULE)
# Stages of no chain, which read what all runs have made: the last `dvc repro` runs them.
AFTER_ALL = ("combine", "compare")
# Lines of DVC that are worth reading once at most, and no problem.
HINTS = (
    "Generating lock file",
    "Updating lock file",
    "To track the changes with git",
    "\tgit add ",
    "To enable auto staging",
    "\tdvc config core.autostage",
    "Use `dvc push`",
)
UNCHANGED = "didn't change, skipping"
PRINTING = threading.Lock()
LAST_LINES = 5  # of the stage that failed, told again at the end: its own error and DVC's


@dataclass(frozen=True)
class Chain:
    """Stages that one process runs one after another, once all chains that they need are done."""

    stages: tuple[str, ...]
    needs: frozenset[str] = frozenset()


def _jobs(text: str) -> str:
    if text != "ray" and not (text.isdecimal() and int(text)):
        raise typer.BadParameter(f"{text!r} is neither a number from 1 on nor ray")
    return text


def repro(
    jobs: Annotated[
        str | None,
        typer.Option(
            parser=_jobs,
            metavar="N|ray",
            help="parts side by side; by default what the CPU cores are enough for; ray: on the nodes of the Ray "
            "cluster at compute.address, as many as they have room for",
        ),
    ] = None,
) -> None:
    """Run what has changed: `dvc repro`, with corpora, datasets and runs side by side where none waits for another.

    Stopped by Ctrl-C or killed, it goes on from there the next time. Examples:

        unroll repro

        unroll repro --jobs 4

        unroll repro --jobs ray
    """
    from unroll.cli.machine import lacking_corpora
    from unroll.params import load
    from unroll.scheduling import Children

    params = load()
    if os.environ.get("NNODES", "1") != "1":  # hosts that train together meet in one training after the other
        jobs = "1"
    children = _on_cluster(params) if jobs == "ray" else Children()
    environment = _environment()
    mend_run_cache()
    status = changed_stages()
    if not status:
        print("Nothing has changed: all results are up to date.")
        return
    if problems := list(lacking_corpora(params, (name for name in params.corpora if f"fetch@{name}" in status))):
        raise UserError(problems)
    chains = chains_of(params)
    stale = stale_chains(chains, status)
    chained = {stage for chain in chains.values() for stage in chain.stages}
    known = all(stage in chained or stage.partition("@")[0] in AFTER_ALL for stage in status)
    here = int(jobs or max(1, _cores() // params.compute.cpus)) if jobs != "ray" else 0
    with children.end_with_us():
        if not known or (here and (here == 1 or len(stale) < 2)):
            shown = None if sys.stdout.isatty() else _show  # on a terminal stages draw their bars themselves
            code = children.run([*DVC, "repro", "--keep-going"], environment, shown)
        else:
            where = f"{here} side by side" if here else f"on the Ray cluster at {params.compute.address}"
            print(f"{len(stale)} parts to run, {where}: {', '.join(map(_label, stale))}", flush=True)
            code = _side_by_side(stale, here or len(stale) or 1, children, environment, params.compute)
    raise SystemExit(128 + children.stopped_by if children.stopped_by else code)


def _on_cluster(params: "Params") -> "ClusterChildren":
    """What runs parts on the cluster; `UserError` where there is none, or none that could."""
    from unroll.cli.cluster_runs import ClusterChildren
    from unroll.cluster import check_resources

    if params.compute.address is None:
        raise UserError(
            "compute.address: --jobs ray needs HOST:PORT of a Ray cluster there, as `ray start --head` names it"
        )
    children = ClusterChildren(params.compute.address)
    check_resources(children.ray, params.compute.cpus, params.compute.gpus)
    return children


def changed_stages() -> dict[str, Any]:
    """What has changed by DVC's own rules, stage by stage; leaves with DVC's own words where DVC cannot say."""
    command = [*DVC, "status", "--json"]
    environment = _environment()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603
    if done.returncode and mended():
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.returncode)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def chains_of(params: "Params") -> dict[str, Chain]:
    """The chains of dvc.yaml's stages: one an entry of params.yaml, each by its path there."""
    from unroll.kinds import SCRATCH

    chains = {SCRATCH: Chain((SCRATCH,))}
    for name in params.corpora:
        chains[f"corpora.{name}"] = Chain((f"fetch@{name}",))
    for name, dataset in params.datasets.items():
        chains[f"datasets.{name}"] = Chain(
            (f"vocab@{name}", f"encode@{name}"), frozenset({f"corpora.{dataset.corpus}"})
        )
    for name, run in params.runs.items():
        start = SCRATCH if run.init == SCRATCH else f"runs.{run.init}"
        stages = (f"train@{name}", f"evaluate@{name}", f"track@{name}")
        chains[f"runs.{name}"] = Chain(stages, frozenset({f"datasets.{run.dataset}", start}))
    trained = frozenset(f"runs.{name}" for name in params.runs)  # a combination depends on the folder of all models
    for name in params.combinations:
        chains[f"combinations.{name}"] = Chain((f"combine@{name}", f"track_combination@{name}"), trained)
    return chains


def stale_chains(chains: Mapping[str, Chain], status: Iterable[str]) -> dict[str, Chain]:
    """The chains with a stage that has changed, and all that follow from them; they need one another alone."""
    changed, stale = set(status), set[str]()
    for name in TopologicalSorter({name: chain.needs for name, chain in chains.items()}).static_order():
        if changed.intersection(chains[name].stages) or stale & chains[name].needs:
            stale.add(name)
    return {name: Chain(chain.stages, chain.needs & stale) for name, chain in chains.items() if name in stale}


def _runner(
    children: "Children", environment: Mapping[str, str], compute: "ComputeSettings"
) -> Callable[[str, Chain, Callable[[str], None]], int]:
    """What runs a chain by its name, here or on the cluster, and gives its lines away; it returns an exit code."""
    from unroll.cli.cluster_runs import ClusterChildren
    from unroll.engine import OVERRIDE

    def run(name: str, chain: Chain, show: Callable[[str], None]) -> int:
        stages = ("repro", "--single-item", *chain.stages)
        if not isinstance(children, ClusterChildren):
            return children.run([*DVC, *stages], environment, show)
        if name.startswith(("runs.", "combinations.")):  # a run has a node's resources: it does its shards there
            return children.run_on_cluster([*MODULE, *stages], {OVERRIDE: "local"}, show, compute.cpus, compute.gpus)
        waits = compute.engine == "ray"  # while others work on its shards, which need all CPUs
        return children.run_on_cluster([*MODULE, *stages], {}, show, 0 if waits else 1, 0)

    return run


def _side_by_side(
    chains: Mapping[str, Chain],
    jobs: int,
    children: "Children",
    environment: Mapping[str, str],
    compute: "ComputeSettings",
) -> int:
    """Run the chains and then whatever is left; return the exit code."""
    from unroll.scheduling import run_graph

    last_lines: dict[str, deque[str]] = {}
    run = _runner(children, environment, compute)

    def run_chain(name: str) -> bool:
        label, begun = _label(name), time.monotonic()
        lines = last_lines[name] = deque[str](maxlen=LAST_LINES)

        def keep_and_show(line: str) -> None:
            if line.startswith("> "):  # a command begins
                lines.clear()
            elif _worth_reading(line):
                lines.append(line)
            _show(line, label)

        done = not run(name, chains[name], keep_and_show)
        if not children.stopped_by:
            _show(f"{'done' if done else 'failed'} after {time.monotonic() - begun:.0f} s", label)
        return done

    needs = {name: chain.needs for name, chain in chains.items()}
    outcome = run_graph(needs, jobs, run_chain, _seconds(Path("results")))
    if children.stopped_by:
        print("Stopped. What was finished is kept; the next call goes on from there.", file=sys.stderr)
        return 1
    if outcome.failed:
        _report(outcome.failed, outcome.skipped, last_lines)
        return 1
    return children.run([*DVC, "repro"], environment, _show)


def _seconds(results: Path) -> dict[str, float]:
    """How long the last training of each run took, as far as that is known, by its chain."""
    from unroll.evaluation.results import read_results

    seconds = {}
    for folder in results.glob("*/"):
        with suppress(UserError, KeyError):  # damaged: DVC will make it again
            found = read_results(folder)
            if found and found.timing:
                seconds[f"runs.{folder.name}"] = found.costs()["seconds"]
    return seconds


def _report(failed: Iterable[str], skipped: Iterable[str], last_lines: Mapping[str, Iterable[str]]) -> None:
    for name in failed:
        print(f"\nerror: {name} failed:", file=sys.stderr)
        for line in last_lines[name]:
            print(f"  {line}", file=sys.stderr)
    if waiting := ", ".join(skipped):
        print(f"\nnot run, since they need what failed: {waiting}", file=sys.stderr)


def _environment() -> dict[str, str]:
    """Ours, in which the stages' `python` is the one that runs us, and whose lines come as they are written."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}


def _cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _label(name: str) -> str:
    return name.rpartition(".")[2]


def _labelled(label: str, line: str) -> str:
    """The line with its chain in front, unless there is none or the line names it already."""
    return f"{label}  {line}" if label and not line.startswith((f"{label} ", f"{label}:", f"{label}.")) else line


def _show(line: str, label: str = "") -> None:
    """Print a line if it is worth reading, whole, whoever prints beside."""
    if _worth_reading(line):
        with PRINTING:
            print(_labelled(label, line), flush=True)


def _worth_reading(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(HINTS) and not line.endswith(UNCHANGED)
