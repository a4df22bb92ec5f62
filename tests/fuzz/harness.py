"""What the fuzz tests share: how long they run, how input is changed, and what may come of it.

`FUZZ=5000 python -m pytest tests/fuzz` runs so many examples a target, other ones each time, and prints how many
executions were made; without it a few, the same ones each time.
"""

import faulthandler
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from unroll.errors import UserError

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = int(os.environ.get("FUZZ", "0"))
SECONDS = 30  # that an execution may take on a busy machine
MEGABYTES = 500  # that an execution may add to the memory
LARGEST_INPUT = 1 << 21  # bytes; memory is bounded for inputs of this size

fuzz = settings(
    max_examples=EXAMPLES or 10,
    derandomize=not EXAMPLES,
    deadline=None,  # an execution has its own
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)

executions: dict[str, Counter[str]] = {}
"""How often each target has been executed, by outcome."""


class Hang(BaseException):
    """An execution that takes too long; no `Exception`, so that nothing catches it."""


def execute(target: str, call: Callable[[], Any], *places: str) -> Any:
    """What `call` gives, or None for a `UserError` in which every line names one of `places`.

    Any other exception, more than `SECONDS` and more than `MEGABYTES` fail the test.
    """
    counts = executions.setdefault(target, Counter())
    try:
        with _in_time(), _in_memory():
            found = call()
        counts["well"] += 1
        return found
    except UserError as error:
        counts["refused"] += 1
        assert error.problems
        for line in error.problems:
            assert line.isprintable(), line
            assert any(_shown(place) in line for place in places), f"{line!r} names none of {places}"
        return None


def _shown(place: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in place)


@contextmanager
def _in_time() -> Iterator[None]:
    def too_long(*_: object) -> None:
        raise Hang(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    # Should it hang outside of Python, where no handler runs.
    faulthandler.dump_traceback_later(4 * SECONDS, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _in_memory() -> Iterator[None]:
    """Holds the peak of the resident memory, which Linux lets a process reset."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        yield
        return
    reset.write_text("5")
    before = _peak()
    yield
    assert _peak() - before < MEGABYTES, f"{_peak() - before:.0f} MB"


def _peak() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


NASTY = [
    b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n\n", b"\xe2\x80\xa8", b"\xc2\x85",
    b"\xe2\x80\xae", b"e\xcc\x81", b'\\ud800', b'"', b"'", b"{", b"[", b"]", b"}", b": ", b"- ", b",", b"\t", b"#",
    b"&a ", b"*a", b"<<: ", b"!!python/object/apply:os.system [id]", b"!!binary ", b"null", b"~", b"NaN",
    b".nan", b".inf", b"1e999", b"-1", b"0", b"9" * 30, b"9" * 5000, b"[" * 3000, b"{a: " * 500,
    b"../", b"/", b"%s", b"$(touch x)", b"--help",
]  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, seeds: Sequence[bytes], tokens: Sequence[bytes] = NASTY, most: int = 6) -> bytes:
    """One of `seeds` with some places cut, doubled, overwritten, flipped in a bit, or with a token put in."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, most))):
        place = draw(st.integers(0, len(content)))
        length = draw(st.integers(1, 40))
        match draw(st.sampled_from(["token", "token", "bit", "delete", "bytes", "double", "move", "cut"])):
            case "token":
                content[place:place] = draw(st.sampled_from(tokens))
            case "bit" if place < len(content):
                content[place] ^= 1 << draw(st.integers(0, 7))
            case "delete":
                del content[place : place + length]
            case "bytes":
                content[place : place + length] = draw(st.binary(max_size=8))
            case "double":
                content[place:place] = content[place : place + length]
            case "move":
                other = draw(st.integers(0, len(content)))
                content[place:place] = content[other : other + length]
            case "cut" if draw(st.integers(0, 3)) == 0:
                del content[place:]
    return bytes(content[:LARGEST_INPUT])


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "\x00",
        "a\x00b",
        "\u2028",
        "\x85",
        "\ufeff",
        "e\u0301",
        "שלום",
        "\u202eabc",
        "😀",
        "￭",
        "\u2581",
        "NA",
        "1",
    ]
)
"""Texts of all characters but lone surrogates."""


def report() -> Iterable[str]:
    """A line a target: how many executions, and what came of them."""
    width = max(map(len, executions), default=0)
    for target, counts in sorted(executions.items()):
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
        yield f"{target:{width}}  {counts.total():>9,} executions: {outcomes}"
    yield f"{'all':{width}}  {sum(counts.total() for counts in executions.values()):>9,} executions"
