"""A program: kills the pipeline of a project again and again, and counts what was lost.

    python kills.py FOLDER KILLS SEED SECONDS

Kill -9 at random instants, at most SECONDS after a start, over all stages: of everything at once (as when the power
goes), of DVC alone (whose stage goes on), of the stage alone (as when memory runs out), and SIGTERM. Whenever the
pipeline comes to its end, what it has made has to be, bit for bit, what an undisturbed one has made; then it begins
anew.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

MADE = ("data/raw", "data/vocab", "data/encoded", "models", "results", "predictions")
TIMES = ("timing.csv", "timing.png")


def digest(folder: Path) -> dict[str, str]:
    """All that the pipeline makes, but times; what a killed process left counts as lost order."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for made in MADE
        for path in sorted((folder / made).rglob("*"))
        if path.is_file() and path.name not in TIMES
    }


def start(folder: Path, command: list[str], log: Path) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
        "OMP_NUM_THREADS": "1",
    }
    with log.open("ab") as file:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=file, start_new_session=True)


def kill(process: subprocess.Popen[bytes], how: str) -> bool:
    """Whether there was something to be killed."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
        stages = [child for child in below if any(word.startswith("pipeline/") for word in child.cmdline())]
        if how == "all":
            process.kill()
            for child in below:
                child.kill()
        elif how == "dvc":
            process.kill()
        elif how == "stage":
            if not stages:
                return False
            stages[-1].kill()
        else:
            os.killpg(process.pid, signal.SIGTERM)
    except (ProcessLookupError, psutil.Error):
        return False
    return True


def reset(folder: Path) -> None:
    for made in (*MADE, "checkpoints", ".dvc/cache", "report", "mlruns"):
        shutil.rmtree(folder / made, ignore_errors=True)
    (folder / "dvc.lock").unlink(missing_ok=True)


def main(folder: Path, kills: int, seed: int, longest: float) -> Counter[str]:
    """How often what was done and seen."""
    chance = random.Random(seed)
    log = folder / "kills.log"
    dvc = [sys.executable, "-m", "dvc", "repro", "compare"]
    ours = [sys.executable, "-c", "from unroll.cli import main; main()", "repro", "--jobs", "1"]
    assert start(folder, dvc, log).wait() == 0, log.read_text()
    expected, counts = digest(folder), Counter[str]()
    reset(folder)
    while counts["kills"] < kills:
        process = start(folder, chance.choice([dvc, ours]), log)
        how = chance.choice(["all", "all", "dvc", "stage", "term"])
        try:
            code = process.wait(chance.uniform(0.2, longest))
        except subprocess.TimeoutExpired:
            if kill(process, how):
                counts["kills"] += 1
                counts[f"kills of {how}"] += 1
            process.wait()  # of a killed one, too: as long as it is a zombie, DVC takes it for alive
            continue
        if code:  # an orphan was at it, or DVC was killed while it wrote a list of its own: ours mends that
            counts["refusals"] += 1
            wait_for_orphans(folder)
            assert start(folder, ours, log).wait() == 0, log.read_text()[-5000:]
        ended(folder, expected, counts)
        reset(folder)
    wait_for_orphans(folder)
    assert start(folder, ours, log).wait() == 0, log.read_text()[-5000:]
    ended(folder, expected, counts)
    return counts


def ended(folder: Path, expected: dict[str, str], counts: Counter[str]) -> None:
    wait_for_orphans(folder)
    found = digest(folder)
    other = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    assert not other, other
    counts["ends, all bits equal"] += 1


def wait_for_orphans(folder: Path) -> None:
    """Until no stage runs in `folder` that its DVC has left alone."""
    while True:
        running = []
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(folder) and process.pid != os.getpid():
                    running.append(process.pid)
            except psutil.Error:
                continue
        if not running:
            return
        time.sleep(0.2)


if __name__ == "__main__":
    counted = main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    print(json.dumps(counted))
