"""A program: runs stages of a finished project while the disk is full, and prints what came of it as JSON.

python full_disk.py limit N       no file may get longer than N bytes
python full_disk.py room N        the disk has N bytes left (the working folder is on a disk of its own)
"""

import hashlib
import io
import json
import os
import resource
import runpy
import shutil
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

STAGES = {
    "fetch": "mine --out raw",
    "vocab": "mine --raw raw --out vocab",
    "encode": "mine --raw raw --vocab vocab --out encoded",
    "train": "mine --data encoded --vocab vocab --init models/scratch --model models/mine --results results"
    " --checkpoints checkpoints",
    "evaluate": "mine --data encoded --model models/mine --history results/history.csv --results results"
    " --predictions predictions --checkpoints checkpoints",
}
SOURCE = Path(__file__).parent.parent / "pipeline"


def run(stage: str) -> tuple[int, str]:
    """The exit code of a stage and what it wrote to stderr."""
    sys.argv = [stage, *STAGES[stage].split()]
    told = io.StringIO()
    with redirect_stderr(told), redirect_stdout(io.StringIO()):
        try:
            runpy.run_path(str(SOURCE / f"{stage}.py"), run_name="__main__")
        except SystemExit as left:
            return int(left.code or 0), told.getvalue()
        except BaseException:
            return 1, told.getvalue() + traceback.format_exc()
    return 0, told.getvalue()


def digest() -> dict[str, str]:
    """All that the stages have written, timings apart; temporary files, too."""
    found = {}
    for folder in ("raw", "vocab", "encoded", "models", "results", "predictions"):
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.name != "timing.csv":
                found[path.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def full(how: str, number: int, stage: str) -> tuple[int, str]:
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (number, resource.RLIM_INFINITY))
        try:
            return run(stage)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ballast = Path("ballast")
    size = max(0, shutil.disk_usage(".").free - number)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    try:
        return run(stage)
    finally:
        ballast.unlink()


def main(how: str, *numbers: str) -> None:
    Path("models/scratch").mkdir(parents=True, exist_ok=True)
    for stage in STAGES:
        code, told = run(stage)
        assert code == 0, told
    before, found = digest(), []
    for stage in STAGES:
        for number in map(int, numbers):
            shutil.rmtree("checkpoints", ignore_errors=True)
            code, told = full(how, number, stage)
            after = digest()
            other = [name for name in {*before, *after} if before.get(name) != after.get(name)]
            found.append({"stage": stage, "number": number, "code": code, "told": told, "changed": other})
    print(json.dumps(found))


main(*sys.argv[1:])
