"""Parts that wait for one another, side by side; child processes that leave nothing behind."""

import os
import signal
import sys
import threading
import time

import pytest

from unroll import scheduling
from unroll.scheduling import Children, remaining, run_graph

DIAMOND = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "alone": set()}


class Recorder:
    """Work that notes what was done when it began, and how many worked at once."""

    def __init__(self, *failing: str) -> None:
        self.failing, self.lock = failing, threading.Lock()
        self.done: list[str] = []
        self.before: dict[str, set[str]] = {}
        self.at_once = self.most = 0

    def __call__(self, name: str) -> bool:
        with self.lock:
            self.before[name] = set(self.done)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(0.02)
        with self.lock:
            self.at_once -= 1
            self.done.append(name)
        return name not in self.failing


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_each_part_begins_after_what_it_needs(jobs):
    work = Recorder()
    outcome = run_graph(DIAMOND, jobs, work)
    assert (outcome.failed, outcome.skipped, sorted(work.done)) == ([], [], sorted(DIAMOND))
    assert all(needed <= work.before[name] for name, needed in DIAMOND.items())
    assert work.most <= jobs


def test_independent_parts_do_work_at_once():
    meeting = threading.Barrier(3, timeout=10)
    assert run_graph({name: set() for name in "abc"}, 3, lambda name: meeting.wait() >= 0).failed == []


@pytest.mark.parametrize(
    ("failing", "skipped"),
    [("a", {"b", "c", "d"}), ("b", {"d"}), ("d", set()), ("alone", set())],
)
def test_what_needs_a_failed_part_is_skipped_and_the_rest_goes_on(failing, skipped):
    work = Recorder(failing)
    outcome = run_graph(DIAMOND, 2, work)
    assert (outcome.failed, set(outcome.skipped)) == ([failing], skipped)
    assert set(work.done) == set(DIAMOND) - skipped


def test_what_remains_is_the_dearest_way_to_an_end():
    costs = {"a": 1, "b": 5, "c": 2, "d": 10}
    assert remaining(DIAMOND, costs) == {"a": 16, "b": 15, "c": 12, "d": 10, "alone": 0}


def test_what_much_waits_for_begins_first():
    work = Recorder()
    needs = {"short": set(), "data": set(), "long": {"data"}, "middle": set()}
    run_graph(needs, 1, work, {"short": 1, "long": 9, "middle": 4})
    assert work.done == ["data", "long", "middle", "short"]


def test_what_work_raises_comes_out():
    with pytest.raises(ZeroDivisionError):
        run_graph(DIAMOND, 2, lambda name: bool(1 / 0))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_lines_come_whole_and_the_exit_code_as_it_is():
    lines: list[str] = []
    code = (
        "import sys; print('ä' * 5000); print('err', file=sys.stderr); sys.stdout.buffer.write(b'\\xff'); sys.exit(3)"
    )
    assert Children().run(python(code), {**os.environ, "PYTHONUNBUFFERED": "1"}, lines.append) == 3
    assert lines == ["ä" * 5000, "err", "\ufffd"]


# A child that leaves a grandchild behind, in its process group; both may ignore what asks them to end.
FAMILY = """
import signal, subprocess, sys, time
for number in {ignored}: signal.signal(number, signal.SIG_IGN)
code = "import time; time.sleep(60)"
other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(other.pid, flush=True)
time.sleep(60)
"""


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether the process is no more, or a zombie that waits for its parent, before so many seconds pass."""
    import psutil

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("ignored", ["[]", "[signal.SIGINT, signal.SIGTERM]"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_children_and_what_they_started(monkeypatch, number, ignored):
    monkeypatch.setattr(scheduling, "GRACE", 0.2)
    children, family = Children(), []

    def show(line: str) -> None:
        family.append(int(line))
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with children.end_with_us():
        outcome = run_graph(
            {"a": set(), "b": {"a"}},
            1,
            lambda name: children.run(python(FAMILY.format(ignored=ignored)), os.environ, show) == 0,
        )
    assert children.stopped_by == number
    assert (outcome.failed, outcome.skipped, len(family)) == (["a"], ["b"], 1)
    assert gone(family[0])
    assert signal.getsignal(number) == before
    assert children.run(python("raise SystemExit(0)"), os.environ) == -number, "none starts any more"


def test_where_lines_cannot_be_shown_the_child_ends():
    children, family = Children(), []

    def show(line: str) -> None:
        family.append(int(line))
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        children.run(python(FAMILY.format(ignored="[]")), os.environ, show)
    assert gone(family[0])
