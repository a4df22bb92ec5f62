"""`unroll repro --jobs`: the result of `dvc repro`, with independent stages side by side.

Most tests keep the names, edges and parameters of dvc.yaml and let each stage do next to nothing.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from unroll.cli.repro import AFTER_ALL, _labelled, _seconds, _worth_reading, chains_of, stale_chains
from unroll.params import CombinedPairs, Params

ROOT = Path(__file__).parent.parent
CORPUS = {"source": "files", "train": "a.txt", "split": {"valid": 0.1, "test": 0.1}}
DATASET = {"fields": {"text": {"unit": "char"}}, "max_length": 30}
RUN = {
    "model": {"kind": "language_model", "cell": "lstm", "embedding": 4, "hidden": 8},
    "train": {"context": "stream", "bptt": 8, "batch_size": 4, "lr": 0.01, "steps": 4},
    "evaluate": {"samples": 2, "sample_tokens": 10},
    "seed": 1,
}
PARAMS: dict[str, Any] = {
    "corpora": {name: {**CORPUS, "path": f"texts/{name}"} for name in ("one", "two")},
    "datasets": {f"{name}-char": {**DATASET, "corpus": name} for name in ("one", "two")},
    "runs": {
        "first": {**RUN, "dataset": "one-char", "init": "scratch"},
        "tuned": {**RUN, "dataset": "one-char", "init": "first"},
        "other": {**RUN, "dataset": "two-char", "init": "scratch"},
    },
    "combinations": {},
    "compute": {"device": "cpu", "threads": 1},
}
# A stage notes its begin and end, and writes what it read.
STEP = """\
stage=$1 out=$2; shift 2
echo "begin $stage" >> steps.log
if [ -f slow ]; then sleep 60; fi
if [ -f "bad-$stage" ]; then echo "error: $stage has bad luck" >&2; exit 3; fi
mkdir -p "$out"
for input in "$@"; do find "$input" -type f | sort | xargs cat; done > "$out/text"
echo "$stage" >> "$out/text"
echo "end $stage" >> steps.log
"""


def stage(name: str, out: str, *deps: str) -> dict[str, Any]:
    return {"cmd": f"sh step.sh {name} {out} {' '.join(deps)}", "deps": list(deps), "outs": [out]}


def each(section: str, name: str, out: str, *deps: str, params: tuple[str, ...] = ()) -> dict[str, Any]:
    body = stage(f"{name}@${{key}}", f"{out}/${{key}}", *deps)
    return {"foreach": f"${{{section}}}", "do": {**body, "params": list(params)}}


STAGES = {
    "fetch": each("corpora", "fetch", "data/raw", "${item.path}"),
    "vocab": each("datasets", "vocab", "data/vocab", "data/raw/${item.corpus}"),
    "encode": each("datasets", "encode", "data/encoded", "data/raw/${item.corpus}", "data/vocab/${key}"),
    "scratch": stage("scratch", "models/scratch"),
    "train": each(
        "runs", "train", "models", "data/encoded/${item.dataset}", "models/${item.init}", params=("runs.${key}.seed",)
    ),
    "evaluate": each("runs", "evaluate", "results", "models/${key}"),
    "track": each("runs", "track", "receipts", "results/${key}"),
    "compare": stage("compare", "report", "results"),
}
FOLDERS = ("data/*/*", "models/*", "results/*", "receipts/*", "report")
CHAINS = [
    ["fetch@one", "vocab@one-char", "encode@one-char", "train@first", "evaluate@first", "track@first"],
    ["fetch@two", "vocab@two-char", "encode@two-char", "train@other", "evaluate@other", "track@other"],
    ["scratch", "train@first", "track@first", "train@tuned", "evaluate@tuned", "track@tuned", "compare"],
]
ALL = {name for chain in CHAINS for name in chain}


class Project:
    """A folder with a pipeline of the same shape as the real one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self) -> dict[str, str]:
        here = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        return {**os.environ, **here, "PYTHONPATH": str(ROOT / "src")}

    def start(self, *command: str) -> "subprocess.Popen[str]":
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.folder, env=self.environment(), text=True, **pipes)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*command)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def repro(self, jobs: int = 3) -> subprocess.CompletedProcess[str]:
        return self.run(*UNROLL, "repro", "--jobs", str(jobs))

    def write(self, params: dict[str, Any]) -> None:
        (self.folder / "params.yaml").write_text(json.dumps(params))  # JSON is YAML

    def seeds(self, **seeds: int) -> None:
        runs = {name: {**run, "seed": seeds.get(name, run["seed"])} for name, run in PARAMS["runs"].items()}
        self.write({**PARAMS, "runs": runs})

    def steps(self) -> list[str]:
        log = self.folder / "steps.log"
        return log.read_text().splitlines() if log.exists() else []

    def locked(self) -> dict[str, Any]:
        return YAML(typ="safe").load((self.folder / "dvc.lock").read_text())["stages"]


UNROLL = (sys.executable, "-c", "from unroll.cli import main; main()")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory) -> Project:
    project = Project(tmp_path_factory.mktemp("jobs") / "un roll")
    project.folder.mkdir()
    for name in PARAMS["corpora"]:
        (project.folder / "texts" / name).mkdir(parents=True)
        (project.folder / "texts" / name / "a.txt").write_text(f"text {name}\n")
    (project.folder / "step.sh").write_text(STEP)
    (project.folder / "dvc.yaml").write_text(json.dumps({"stages": STAGES}))
    # DVC would write such files itself, in the order in which stages end, and some into what `compare` reads.
    (project.folder / ".gitignore").write_text("".join(f"/{folder}\n" for folder in FOLDERS))
    project.write(PARAMS)
    for command in (("git", "init", "-q"), ("dvc", "init", "-q")):
        assert project.run(*command).returncode == 0
    return project


@pytest.fixture(scope="module")
def finished(untouched, tmp_path_factory) -> tuple[Project, str]:
    """A project that `unroll repro --jobs 3` has run, and what it printed."""
    folder = tmp_path_factory.mktemp("finished") / "un roll"
    shutil.copytree(untouched.folder, folder)
    project = Project(folder)
    done = project.repro()
    assert done.returncode == 0, done.stdout + done.stderr
    return project, done.stdout


def copy(project: Project, folder: Path) -> Project:
    shutil.copytree(project.folder, folder / "copy", symlinks=True)
    return Project(folder / "copy")


def test_every_stage_runs_once_and_after_what_it_needs(finished):
    steps = finished[0].steps()
    assert sorted(steps) == sorted([f"{word} {name}" for name in ALL for word in ("begin", "end")])
    for chain in CHAINS:
        for before, after in pairwise(chain):
            assert steps.index(f"end {before}") < steps.index(f"begin {after}")


def test_stages_do_run_side_by_side(finished):
    _, printed = finished
    assert printed.startswith("8 parts to run, 3 side by side: ")
    for label in ("one", "two-char", "tuned", "other"):
        assert f"{label}  done after " in printed


def test_the_result_is_that_of_dvc_repro(finished, untouched, tmp_path):
    serial = copy(untouched, tmp_path)
    assert serial.run("dvc", "repro").returncode == 0
    assert set(finished[0].locked()) == ALL
    assert finished[0].locked() == serial.locked()


def test_a_second_call_does_nothing_and_neither_does_dvc(finished, tmp_path):
    project = copy(finished[0], tmp_path)
    before = project.steps()
    done = project.repro()
    assert (done.returncode, done.stdout) == (0, "Nothing has changed: all results are up to date.\n")
    assert "up to date" in project.run("dvc", "repro").stdout
    assert project.steps() == before


def test_only_what_has_changed_runs(finished, tmp_path):
    project = copy(finished[0], tmp_path)
    (project.folder / "steps.log").unlink()
    project.seeds(tuned=2, other=2)
    done = project.repro()
    assert done.stdout.startswith("2 parts to run, 3 side by side: tuned, other")
    ran = {step.removeprefix("end ") for step in project.steps() if step.startswith("end ")}
    assert ran == {f"{name}@{run}" for name in ("train",) for run in ("tuned", "other")}
    assert "up to date" in project.run("dvc", "repro").stdout


def test_a_failed_run_stops_what_starts_from_it_and_nothing_else(untouched, tmp_path):
    project = copy(untouched, tmp_path)
    bad = project.folder / "bad-train@first"
    bad.touch()
    done = project.repro(2)
    assert done.returncode == 1
    assert "error: runs.first failed:\n  error: train@first has bad luck\n  ERROR: failed to reproduce" in done.stderr
    assert done.stderr.endswith("not run, since they need what failed: runs.tuned\n")
    assert "end track@other" in project.steps()
    assert not {"begin evaluate@first", "begin train@tuned", "begin compare"} & set(project.steps())
    bad.unlink()
    assert project.repro(2).returncode == 0
    assert set(project.locked()) == ALL


def test_mistakes_stop_it_before_anything_starts(untouched, tmp_path):
    project = copy(untouched, tmp_path)
    project.seeds(other=-1)
    done = project.repro()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: params.yaml: runs.other.seed: ")
    assert project.steps() == []


def test_a_corpus_that_is_not_there_stops_it_before_anything_starts(untouched, tmp_path):
    """DVC would say `failed to reproduce 'fetch@two': [Errno 2]`, after all that runs before it."""
    project = copy(untouched, tmp_path)
    shutil.rmtree(project.folder / "texts" / "two")
    done = project.repro()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: corpora.two: texts/two: no such file or folder; it should hold a.txt\n"
    assert project.steps() == []


@pytest.mark.parametrize(("number", "jobs"), [(signal.SIGINT, 2), (signal.SIGTERM, 2), (signal.SIGTERM, 1)])
def test_a_signal_ends_all_of_it(untouched, tmp_path, number, jobs):
    project = copy(untouched, tmp_path)
    (project.folder / "slow").touch()
    process = project.start(*UNROLL, "repro", "--jobs", str(jobs))
    end = time.monotonic() + 120
    while len(project.steps()) < jobs and time.monotonic() < end and process.poll() is None:
        time.sleep(0.05)
    assert len(project.steps()) >= jobs, "stages run"
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) > jobs
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert psutil.wait_procs(family, timeout=5)[1] == []


def test_every_stage_of_the_pipeline_is_in_a_chain():
    """A new stage of dvc.yaml belongs into a chain, or to what runs when all chains are done."""
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    params = Params.model_validate(PARAMS)
    both = {"both": CombinedPairs.model_construct(dataset="d", runs=list(params.runs))}
    chains = chains_of(params.model_copy(update={"combinations": both}))
    assert chains["combinations.both"].needs == {f"runs.{name}" for name in params.runs}
    known = {name.partition("@")[0] for chain in chains.values() for name in chain.stages}
    assert known.union(AFTER_ALL) == set(stages)


@pytest.mark.parametrize(
    ("status", "stale"),
    [
        ([], []),
        (["compare"], []),
        (["track@other"], ["runs.other"]),
        (["train@first"], ["runs.first", "runs.tuned"]),
        (["fetch@two"], ["corpora.two", "datasets.two-char", "runs.other"]),
    ],
)
def test_what_follows_from_a_changed_stage_is_stale(status, stale):
    found = stale_chains(chains_of(Params.model_validate(PARAMS)), status)
    assert list(found) == stale
    assert all(chain.needs <= set(stale) for chain in found.values())


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Running stage 'train@lm':", "lm  Running stage 'train@lm':"),
        ("lm  50%  step 10", "lm  50%  step 10"),
        ("lm: train 60 rows", "lm: train 60 rows"),
        ("lm-2  50%", "lm  lm-2  50%"),
    ],
)
def test_a_line_names_its_chain_once(line, shown):
    assert _labelled("lm", line) == shown
    assert _labelled("", line) == line


@pytest.mark.parametrize(
    ("line", "worth"),
    [
        ("", False),
        ("Updating lock file 'dvc.lock'", False),
        ("Stage 'train@lm' didn't change, skipping", False),
        ("WARNING: something else", True),
        ("Stage 'train@lm' is cached - skipping run, checking out outputs", True),
    ],
)
def test_routine_of_dvc_is_not_shown(line, worth):
    assert _worth_reading(line) is worth


def test_what_is_known_of_a_runs_time_comes_from_its_results(tmp_path):
    whole, damaged = tmp_path / "whole", tmp_path / "damaged"
    for folder, metrics in ((whole, '{"test": {}, "cost": {}}'), (damaged, "{")):
        folder.mkdir()
        (folder / "metrics.json").write_text(metrics)
        (folder / "history.csv").write_text("step\n1\n")
        (folder / "timing.csv").write_text("step,seconds,peak_ram_bytes\n1,12.5,8\n")
    assert _seconds(tmp_path) == {"runs.whole": 12.5}
    assert _seconds(tmp_path / "none") == {}
