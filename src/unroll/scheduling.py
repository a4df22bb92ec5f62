"""Work whose parts wait for one another, side by side, in child processes that end when their parent is told to."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

GRACE = 10.0  # seconds that children have to end by themselves
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Outcome:
    """What did not come about."""

    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Parts that wait, directly or not, for one that failed."""


def remaining(needs: Mapping[str, Set[str]], costs: Mapping[str, float]) -> dict[str, float]:
    """The cost of each part and of the dearest way from it to an end."""
    found = dict.fromkeys(needs, 0.0)  # at first: of what follows
    for name in reversed([*TopologicalSorter(needs).static_order()]):
        found[name] += costs.get(name, 0.0)
        for needed in needs[name]:
            found[needed] = max(found[needed], found[name])
    return found


def run_graph(
    needs: Mapping[str, Set[str]], jobs: int, work: Callable[[str], bool], costs: Mapping[str, float] | None = None
) -> Outcome:
    """Call `work(name)` for each name, `jobs` at a time, after all that it needs; it says whether all went well.

    Of parts that may begin, the one whose `remaining` cost is largest does, so that no long one is left for the end
    (Graham, 1969). What needs a failed part is skipped, the rest goes on. Raises what `work` raises, and
    `graphlib.CycleError`.
    """
    outcome = Outcome()
    left = remaining(needs, costs or {})
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    ready: list[str] = []
    running: dict[Future[bool], str] = {}
    with ThreadPoolExecutor(jobs) as pool:
        while sorter.is_active():
            for name in sorter.get_ready():
                if needs[name] & {*outcome.failed, *outcome.skipped}:
                    outcome.skipped.append(name)
                    sorter.done(name)
                else:
                    ready.append(name)
            ready.sort(key=left.__getitem__, reverse=True)
            while ready and len(running) < jobs:
                name = ready.pop(0)
                running[pool.submit(work, name)] = name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                if not future.result():
                    outcome.failed.append(name)
                sorter.done(name)
    return outcome


class Children:
    """Child processes, each with its own descendants in a process group, so that all of them can be ended."""

    def __init__(self) -> None:
        self.stopped_by: int | None = None
        """The signal after which no child starts any more."""
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.RLock()  # a second signal may come while the first is dealt with

    def run(
        self, command: Sequence[str], environment: Mapping[str, str], show: Callable[[str], None] | None = None
    ) -> int:
        """Run `command` to its end and return its exit code; negative where a signal ended it or let it not begin.

        `show` gets each line of what it writes, without the newline; without `show` it writes where we do.
        """
        with self._lock:
            if self.stopped_by:
                return -self.stopped_by
            process = subprocess.Popen(  # noqa: S603
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if show else None,
                stderr=subprocess.STDOUT if show else None,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
        try:
            if show and process.stdout:
                for line in process.stdout:
                    if not self.stopped_by:
                        show(line.rstrip("\n"))
        except BaseException:
            self.stop(signal.SIGTERM)
            raise
        finally:
            process.wait()
            with self._lock:
                if self.stopped_by:
                    self._signal(process, signal.SIGKILL)  # what it left behind
                self._running.discard(process)
        return process.returncode

    def stop(self, number: int) -> None:
        """End all children because of this signal: at first as Ctrl-C does, so that they clean up; then for good."""
        with self._lock:
            first, self.stopped_by = not self.stopped_by, number
            for process in self._running:
                self._signal(process, signal.SIGINT if first else signal.SIGKILL)
        if first:
            timer = threading.Timer(GRACE, self.stop, [number])
            timer.daemon = True
            timer.start()

    @contextmanager
    def end_with_us(self) -> Iterator[None]:
        """In the block, a signal that would end us ends the children; a second one does so at once."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in before.items():
            if not (number == signal.SIGHUP and handler == signal.SIG_IGN):  # nohup
                signal.signal(number, lambda number, _: self.stop(number))
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @staticmethod
    def _signal(process: subprocess.Popen[str], number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
