"""How training shows where it is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_SECONDS = 15.0  # between plain lines


class TrainingProgress:
    """Loss, tokens per second and time left of one run that begins with a `share` of its budget spent."""

    def __init__(self, run: str, share: float) -> None:
        self.run = run
        self.first_share = share
        self.started = self.last_line = time.monotonic()
        self.bar: Progress | None = None
        console = Console(file=sys.stderr)
        if console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[state]}"),
                TimeRemainingColumn(),
                console=console,
            )
            self.task = self.bar.add_task(run, total=1.0, state="")
            self.bar.update(self.task, completed=share)

    def __enter__(self) -> Self:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()

    def show(self, step: int, share: float, train_loss: float, valid: str | None, tokens_per_second: float) -> None:
        """Tell the state after `step` updates and a `share` of the budget: the training loss in nats per token, and
        what validation found."""
        state = f"step {step}  loss {train_loss:.3f}"
        if valid is not None:
            state += f"  valid {valid}"
        state += f"  {tokens_per_second:,.0f} tokens/s"
        now = time.monotonic()
        if self.bar:
            self.bar.update(self.task, completed=share, state=state)
        elif now - self.last_line >= LINE_SECONDS or share >= 1:
            left = (now - self.started) / max(share - self.first_share, 1e-9) * (1 - min(share, 1.0))
            print(f"{self.run}  {min(share, 1.0):4.0%}  {state}  {left:.0f} s left", file=sys.stderr, flush=True)
            self.last_line = now
