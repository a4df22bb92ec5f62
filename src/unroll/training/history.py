"""What training records: a deterministic history, and timings apart from it."""

import csv
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unroll.files import whole_file

HISTORY = ("step", "epoch", "lr", "train_loss", "valid_loss", "grad_norm", "clipped")
TIMING = ("step", "time", "seconds", "tokens_per_second", "cpu_percent", "peak_ram_bytes", "peak_gpu_bytes")


@dataclass
class History:
    """Rows of `history.csv` (the same seed gives the same bytes) and of `timing.csv` (never the same)."""

    more: Sequence[str] = ()
    """Columns that not every training has."""
    rows: list[dict[str, str]] = field(default_factory=list)
    timings: list[dict[str, str]] = field(default_factory=list)
    began: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.perf_counter)
    peak_gpu_bytes: Callable[[], int] | None = None
    """The most memory of a GPU that was held so far; None where there is none."""
    worked: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), time.process_time()))
    """What the clock and the processor's time were at the last row."""
    live: Path | None = None
    """The folder where each row is added to the files as it comes, for who watches."""

    def follow(self, folder: Path) -> None:
        """From now on add each row to the files in `folder`, too, which get those of before."""
        self.write(folder)
        self.live = folder

    def add(self, values: dict[str, float | None], tokens: int, seconds: float) -> None:
        """Record one row; `tokens` were trained on in the last `seconds`. A value of None leaves its cell empty."""
        self.rows.append({name: _cell(values.get(name)) for name in (*HISTORY, *self.more)})
        now, worked = time.perf_counter(), time.process_time()
        elapsed = now - self.clock
        timing: dict[str, float | None] = {
            "step": values["step"],
            "time": self.began + elapsed,
            "seconds": elapsed,
            "tokens_per_second": tokens / seconds if seconds > 0 else None,
            "cpu_percent": 100 * (worked - self.worked[1]) / max(now - self.worked[0], 1e-9),
            "peak_ram_bytes": peak_ram_bytes(),
            "peak_gpu_bytes": self.peak_gpu_bytes() if self.peak_gpu_bytes else None,
        }
        self.worked = now, worked
        self.timings.append({name: _cell(timing[name], digits=10) for name in TIMING})
        if self.live is not None:
            for name, columns, rows in self._files():
                with (self.live / name).open("a", encoding="utf-8", newline="") as file:
                    csv.DictWriter(file, columns, lineterminator="\n").writerow(rows[-1])

    def state(self) -> dict[str, list[dict[str, str]]]:
        """What `restore` needs."""
        return {"rows": self.rows, "timings": self.timings}

    def restore(self, state: dict[str, list[dict[str, str]]], seconds: float) -> None:
        """Go on from `state`, after `seconds` of training."""
        self.rows, self.timings = list(state["rows"]), list(state["timings"])
        self.began -= seconds
        self.clock -= seconds

    def write(self, folder: Path) -> None:
        """Write `history.csv` and `timing.csv` into `folder`."""
        for name, columns, rows in self._files():
            with whole_file(folder / name) as file:
                writer = csv.DictWriter(file, columns, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)

    def _files(self) -> tuple[tuple[str, Sequence[str], list[dict[str, str]]], ...]:
        return ("history.csv", (*HISTORY, *self.more), self.rows), ("timing.csv", TIMING, self.timings)


def _cell(value: float | None, digits: int = 8) -> str:
    return "" if value is None else f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def peak_ram_bytes() -> int:
    """The most memory this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
