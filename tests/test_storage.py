"""Corpora, checkpoints and what DVC keeps, in S3: against a real server on this machine."""

import copy
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import S3, s3_server
from test_interruption import IDENTITY
from test_kills import longer
from test_pipeline import PARAMS, Project, build

from unroll.training.copies import checkpoints_of

pytestmark = pytest.mark.cluster

OUTPUTS = ("data/raw", "data/vocab", "data/encoded", "models", "predictions", "results")
TIMES = ("timing.csv", "timing.png")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


def objects(below: str) -> list[str]:
    import s3fs

    return s3fs.S3FileSystem(use_listings_cache=False).find(f"unroll/{below}")


def contents(folder: Path) -> dict[str, bytes]:
    """All that the pipeline has made, but times."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for output in OUTPUTS
        for path in sorted((folder / output).rglob("*"))
        if path.is_file() and path.name not in TIMES
    }


def one_run(folder: Path) -> Project:
    """A project with one language model."""
    params = copy.deepcopy(PARAMS)
    for section, name in (("corpora", "pairs"), ("datasets", "pairs-word"), ("runs", "translator")):
        del params[section][name]
    return build(folder, params)


def committed(project: Project) -> None:
    author = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    project.run("git", "add", "--all")
    project.run("git", *author, "commit", "-qm", "all of it")


def clone(project: Project, folder: Path) -> Project:
    project.run("git", "clone", "-q", str(project.folder), str(folder))
    return Project(folder)


def ran(project: Project, *options: str) -> list[str]:
    return re.findall(r"Running stage '([^']+)'", project.run("dvc", "repro", *options).stdout)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project, committed, whose run is trained and evaluated."""
    project = one_run(tmp_path_factory.mktemp("first") / "project")
    project.run("dvc", "repro", "evaluate@lm")
    return project


@pytest.mark.parametrize("remote", ["folder", "s3"])
def test_what_was_trained_in_one_clone_is_not_trained_in_another(s3, first, tmp_path, remote):
    address = "s3://unroll/dvc" if remote == "s3" else str(tmp_path / "remote")
    first.run("dvc", "remote", "add", "--force", "--default", "store", address)
    committed(first)
    first.run("dvc", "push", "--run-cache")
    pulled = clone(first, tmp_path / "pulled")
    pulled.run("dvc", "pull", "evaluate@lm", "--with-deps")
    assert contents(pulled.folder) == contents(first.folder)
    assert ran(pulled, "evaluate@lm") == []
    by_itself = clone(first, tmp_path / "by itself")
    assert ran(by_itself, "--pull", "evaluate@lm") == []
    assert contents(by_itself.folder) == contents(first.folder)
    # The run cache gives back what no dvc.lock names, but not what git keeps: histories and metrics are not pushed.
    without = clone(first, tmp_path / "without dvc.lock")
    (without.folder / "dvc.lock").unlink()
    without.run("dvc", "fetch", "--run-cache")
    assert ran(without, "--pull", "encode@tiny-char") == []


def test_a_corpus_in_s3_is_read_and_watched(s3, first, tmp_path):
    import s3fs

    fs = s3fs.S3FileSystem(use_listings_cache=False)
    fs.put(f"{first.folder}/data/tiny/", "unroll/corpus/tiny/", recursive=True)
    there = one_run(tmp_path / "there")
    shutil.rmtree(there.folder / "data" / "tiny")
    there.edit("corpora/tiny/path", "s3://unroll/corpus/tiny")
    assert ran(there, "fetch@tiny") == ["fetch@tiny"]
    for split in ("train", "valid", "test"):
        name = f"data/raw/tiny/{split}.parquet"
        assert (there.folder / name).read_bytes() == (first.folder / name).read_bytes()
    assert ran(there, "fetch@tiny") == []
    fs.pipe_file("unroll/corpus/tiny/valid.txt", b"the network writes\n")
    assert ran(there, "fetch@tiny") == ["fetch@tiny"]


def training(project: Project) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "dvc", "repro", "train@lm"]
    environment = {**os.environ, "PYTHONPATH": str(project.folder / "src")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with (project.folder / "log").open("ab") as log:
        return subprocess.Popen(
            command, cwd=project.folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )


def wait_for_states(below: str, process: "subprocess.Popen[bytes]") -> list[str]:
    while not (found := [name for name in objects(below) if name.endswith(".pt")]):
        assert process.poll() is None
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_training_whose_machine_is_gone_goes_on_on_another_one(s3, tmp_path, how):
    undisturbed = longer(tmp_path / "undisturbed", ["lm"])
    undisturbed.run("dvc", "repro", "train@lm")
    store = f"checkpoints-{how.name.lower()}"
    one, two = (longer(tmp_path / name, ["lm"]) for name in ("one", "two"))
    for project in (one, two):
        project.edit("compute/checkpoints", f"s3://unroll/{store}")
    process = training(one)
    wait_for_states(store, process)
    os.killpg(process.pid, how)
    assert process.wait(120) != 0
    told = two.run("dvc", "repro", "train@lm")
    assert "goes on from step" in told.stdout + told.stderr
    name = "models/lm/weights.safetensors"
    assert (two.folder / name).read_bytes() == (undisturbed.folder / name).read_bytes()
    history = "results/lm/history.csv"
    assert (two.folder / history).read_bytes() == (undisturbed.folder / history).read_bytes()
    assert objects(store)
    two.run("dvc", "repro", "evaluate@lm")
    assert not objects(store)


def test_a_store_that_hangs_stops_no_training(s3, tmp_path):
    project = longer(tmp_path / "project", ["lm"])
    project.edit("compute/checkpoints", "s3://unroll/hangs")
    process = training(project)
    wait_for_states("hangs", process)
    s3.process.send_signal(signal.SIGSTOP)
    bundle = project.folder / "models" / "lm" / "bundle.json"
    try:
        while not bundle.exists():  # it trains to its end, and only then waits for the store
            assert process.poll() is None
            time.sleep(0.1)
    finally:
        s3.process.send_signal(signal.SIGCONT)
    assert process.wait(300) == 0
    stored = max(name.rpartition("/")[2] for name in objects("hangs"))
    assert stored == max(project.folder.glob("checkpoints/*/*.pt"), key=lambda path: path.stat().st_mtime_ns).name


def test_a_bucket_that_is_not_there_is_told_once(s3, tmp_path, capsys):
    saved = checkpoints_of("mine", "0123456789abcdef", tmp_path, "s3://no-such-bucket/checkpoints")
    with saved.held(IDENTITY, "final"):
        for step in (1, 2):
            saved.save(step, {"step": step})
            time.sleep(0.5)
    told = capsys.readouterr().err
    assert told.count("it goes on without") == 1 and "bucket does not exist" in told
    assert len(list(saved.folder.glob("*.pt"))) == 2
