"""KenLM (https://github.com/kpu/kenlm): its programs lmplz and query, as they were built, on one core."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from bench.measure import Report

Binaries = Annotated[Path | None, typer.Option(help="Folder with KenLM's lmplz and query.", exists=True)]
MEMORY = "1G"  # that lmplz may use; it takes what it is given
ASKED = 20  # times, one after the other: asking is short beside loading the model

_PERPLEXITY = re.compile(r"Perplexity including OOVs:\s+(\S+)")
_TOKENS = re.compile(r"Tokens:\s+(\d+)")


class Ran(NamedTuple):
    """What a program took and said."""

    seconds: float
    """Of CPU time."""
    wall: float
    bytes: int
    """Its resident memory at its peak."""
    output: str


def measure(report: Report, binaries: Path, texts: Sequence[str], tested: Sequence[str], order: int) -> None:
    """Rows for estimation, queries and perplexity of the same text as ours, `<unk>` and unseen words included."""
    words = sum(len(text.split()) for text in texts)
    case = {"words": words, "contender": "KenLM"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train, test, arpa = folder / "train.txt", folder / "test.txt", folder / "model.arpa"
        for path, text, times in ((train, texts, 1), (test, tested, ASKED)):
            path.write_text(times * ("\n".join(text) + "\n"), encoding="utf-8")
        estimate = [f"{binaries}/lmplz", "-o", str(order), "-S", MEMORY, "-T", name, "--discount_fallback"]
        estimate += ["--text", str(train), "--arpa", str(arpa)]
        ran = run(estimate)
        row = {**case, "what": "estimation", "seconds": ran.seconds, "peak_bytes": ran.bytes}
        report.row(row | {"words/s": words / ran.seconds})
        query = [f"{binaries}/query", "-v", "summary", str(arpa)]
        # Most of its time it loads the model: how much is told by asking it nothing.
        ran, loading = run(query, test), run(query)
        tokens, seconds = int(_TOKENS.findall(ran.output)[0]), ran.seconds - loading.seconds
        if seconds > 0:  # else they are lost in what loading varies by
            report.row({**case, "what": "queries", "seconds": seconds, "tokens/s": tokens / seconds})
        found = float(_PERPLEXITY.findall(ran.output)[0])
        report.row({**case, "what": "perplexity", "perplexity": found, "tokens": tokens // ASKED})


def run(command: Sequence[str], text: Path = Path(os.devnull)) -> Ran:
    """Run a program of the peer on one core; it reads `text`."""
    start = time.perf_counter()
    core = {min(os.sched_getaffinity(0))}
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    with text.open("rb") as read:
        process = subprocess.Popen(command, stdin=read, stdout=pipe, stderr=both, text=True)  # noqa: S603
    os.sched_setaffinity(process.pid, core)
    assert process.stdout
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise typer.BadParameter(f"{' '.join(command)} failed:\n{output}")
    return Ran(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, 1024 * usage.ru_maxrss, output)
