"""How the benchmarks measure: contenders take turns in one process, and each is compared with the first of them.

A machine that others use too becomes slower and faster while a benchmark runs. Turns a fraction of a second long make
that hit all contenders alike, and the ratio of two is the median of their ratios turn by turn.
"""

import json
import math
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import linear_regression, median, quantiles
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
WIDTH = 160  # of a table that is not shown in a terminal

Clock = Callable[[], float]

Quick = Annotated[bool, typer.Option(help="Small sizes and few turns: seconds, to see that it works.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]
Out = Annotated[Path | None, typer.Option(help="JSON to write.", show_default="bench/results/NAME.json")]


class Taken(NamedTuple):
    """What a contender took for one call."""

    seconds: float
    """Median over the turns."""
    ratio: float
    """How many times as fast as the first contender: the median of the ratios turn by turn."""
    low: float
    """Their lower quartile."""
    high: float
    """Their upper quartile."""


def alternate(
    contenders: Mapping[str, Callable[[], object]],
    turns: int,
    least: float = 0.2,
    clock: Clock = time.perf_counter,
) -> dict[str, Taken]:
    """Call the contenders in turn, `turns` times each after a turn that does not count; the first is what all are
    compared with.

    A turn is as many calls as take `least` seconds. `clock` may be `time.process_time`, which other processes disturb
    less, where all the work is done by one thread of this process.
    """
    calls = {name: _calls(contender, least, clock) for name, contender in contenders.items()}
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(turns):
        names = list(contenders)
        for name in names if turn % 2 == 0 else reversed(names):
            taken[name].append(_seconds(contenders[name], calls[name], clock))
    first = next(iter(taken.values()))
    return {name: _compared(seconds, first) for name, seconds in taken.items()}


def _calls(contender: Callable[[], object], least: float, clock: Clock) -> int:
    """How many calls take `least` seconds, once the contender is warm."""
    contender()
    calls, seconds = 0, 0.0
    while seconds < least:
        seconds += _seconds(contender, 1, clock)
        calls += 1
    return max(calls, 1)


def _seconds(contender: Callable[[], object], calls: int, clock: Clock) -> float:
    start = clock()
    for _ in range(calls):
        contender()
    return (clock() - start) / calls


def _compared(seconds: Sequence[float], first: Sequence[float]) -> Taken:
    ratios = [a / b for a, b in zip(first, seconds, strict=True)]
    low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Taken(median(seconds), median(ratios), low, high)


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """p of the power law cost = c size^p that fits best: 1 is linear growth."""
    return linear_regression([math.log(size) for size in sizes], [math.log(cost) for cost in costs]).slope


class Once(NamedTuple):
    """What one call took in a process of its own."""

    seconds: float
    """Of CPU time."""
    bytes: int
    """How far its memory grew, at its peak (Linux only)."""


def once(build: Callable[[], Callable[[], object]]) -> Once:
    """What one call of what `build` returns takes in a fresh process.

    `build`, a function of a module or a `partial` of one, makes what the call works on and loads what it needs.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_once, (build,))


def peak_bytes(build: Callable[[], Callable[[], object]]) -> int:
    """How far the memory of a fresh process grows, at its peak, in one call of what `build` returns; see `once`."""
    return once(build).bytes


def _once(build: Callable[[], Callable[[], object]]) -> Once:
    call = build()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
    before, start = _status("VmRSS"), time.process_time()
    call()
    return Once(time.process_time() - start, _status("VmHWM") - before)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


class Report:
    """The answer to one question: rows of a table, each contender of each case, and facts beside them."""

    def __init__(self, name: str, question: str, threads: int, quick: bool, clock: Clock = time.perf_counter) -> None:
        self.name, self.question = name, question
        self.machine = machine(threads) | {"clock": clock.__name__}
        self.quick, self.clock = quick, clock
        self.turns, self.least = (2, 0.0) if quick else (7, 0.3)
        self.rows: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}
        self.console = Console(width=None if sys.stdout.isatty() else WIDTH)

    def race(
        self,
        case: Mapping[str, Any],
        contenders: Mapping[str, Callable[[], object]],
        work: float | None = None,
        unit: str = "",
        **more: Mapping[str, Any],
    ) -> dict[str, Taken]:
        """Let `contenders` take turns and add a row for each; one call does `work` units.

        `more` has the contenders' values of each further column.
        """
        taken = alternate(contenders, self.turns, self.least, self.clock)
        for name, one in taken.items():
            row: dict[str, Any] = {**case, "contender": name, "seconds": one.seconds}
            row |= {"ratio": one.ratio, "ratio_low": one.low, "ratio_high": one.high}
            if work is not None:
                row[f"{unit}/s"] = work / one.seconds
            self.row(row | {column: values.get(name) for column, values in more.items()})
        return taken

    def row(self, values: Mapping[str, Any]) -> None:
        """A row of whatever was found, and a line that says so at once."""
        self.rows.append(dict(values))
        told = (f"{key} {_told(value)}" for key, value in values.items() if not key.startswith("ratio_"))
        self.console.print("  ".join(told), style="dim", soft_wrap=True)

    def finish(self, out: Path | None) -> dict[str, Any]:
        """Print the table, write the JSON; return what was written."""
        keys = dict.fromkeys(key for row in self.rows for key in row)
        columns = [key for key in keys if not key.startswith("ratio_")]
        table = Table(*columns, title=self.question, caption=", ".join(f"{k}: {v}" for k, v in self.machine.items()))
        for row in self.rows:
            table.add_row(*(_cell(row, column) for column in columns))
        self.console.print(table)
        for fact, value in self.facts.items():
            self.console.print(f"{fact}: {_told(value)}")
        written = {"bench": self.name, "question": self.question, "quick": self.quick, "machine": self.machine}
        written |= {"facts": self.facts, "rows": self.rows}
        out = out or RESULTS / f"{self.name}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
        self.console.print(f"written: {out}")
        return written


def machine(threads: int) -> dict[str, Any]:
    """Where and when it was measured; `load` above the threads used says that others used the machine, too."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": version("torch"),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu() -> str:
    known = Path("/proc/cpuinfo")
    if not known.exists():
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in known.read_text(encoding="utf-8").split("\n\n")[0].splitlines())
    facts = {key.strip(): value.strip() for key, _, value in lines}
    name = facts.get("model name", platform.machine())
    return f"{name} (family {facts['cpu family']}, model {facts['model']})" if "cpu family" in facts else name


def _cell(row: Mapping[str, Any], column: str) -> str:
    told = _told(row.get(column))
    if column == "ratio" and "ratio_low" in row:
        return f"{told} ({_told(row['ratio_low'])} to {_told(row['ratio_high'])})"
    return told


def clock_of(threads: int) -> Clock:
    """What measures work of this process alone: with one thread its own time, which others disturb less."""
    return time.process_time if threads == 1 else time.perf_counter


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
