"""Training over processes and hosts as the pipeline starts it, and what happens when one of them dies.

Hosts are network namespaces of this machine, joined by a pair of virtual interfaces.
"""

import copy
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from builders import text_dataset
from ruamel.yaml import YAML
from test_pipeline import PARAMS, ROOT, sentences

pytestmark = pytest.mark.cluster
HOSTS = {"unroll-a": "10.213.77.1", "unroll-b": "10.213.77.2"}
PORT = "29513"
STEPS = 120
STAGE = ["--data", "text/encoded", "--vocab", "text/vocab", "--init", "scratch", "--model", "models/lm",
         "--results", "results/lm", "--checkpoints", "checkpoints"]  # fmt: skip


class Clone:
    """A copy of the project with its data, whose checkpoints are written all the time."""

    def __init__(self, folder: Path, processes: int, steps=STEPS, save_seconds="0.1", hidden=8, **train) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("src", "pipeline"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        loop = folder / "src" / "unroll" / "training" / "loop.py"
        content = loop.read_text()
        assert "SAVE_SECONDS = 60.0" in content
        loop.write_text(content.replace("SAVE_SECONDS = 60.0", f"SAVE_SECONDS = {save_seconds}"))
        text_dataset(folder / "text", sentences(200, 1), {"unit": "char"})
        params = copy.deepcopy(PARAMS)
        params["runs"] = {"lm": params["runs"]["lm"]}
        params["runs"]["lm"]["train"] |= {"steps": steps, "validate_every": 50, **train}
        params["runs"]["lm"]["model"] |= {"dropout": 0.1, "hidden": hidden}
        self.params = params
        self.processes(processes)

    def processes(self, number: int) -> None:
        self.params["compute"]["processes"] = number
        with (self.folder / "params.yaml").open("w") as file:
            YAML().dump(self.params, file)

    def start(self, host: str | None = None, **environment: str) -> subprocess.Popen[bytes]:
        inside = ["ip", "netns", "exec", host] if host else []
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "src"), **environment}
        command = [*inside, sys.executable, "pipeline/train.py", "lm", *STAGE]
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stderr=log, stdout=log)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def step(self) -> int:
        """Of the last checkpoint."""
        return max((int(path.name.split(".")[0]) for path in self.folder.glob("checkpoints/*/*.pt")), default=0)

    def reaches(self, step: int) -> None:
        self.waits(lambda: self.step() >= step)

    def waits(self, until) -> None:
        for _ in range(3000):  # five minutes: the machine may be busy
            if until():
                return
            time.sleep(0.1)
        raise AssertionError(self.log)

    def members(self) -> list[psutil.Process]:
        """The processes that train here."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cwd() == str(self.folder) and "-u" in process.cmdline()[:2]:
                    found.append(process)
        return found

    def weights(self) -> bytes:
        return (self.folder / "models" / "lm" / "weights.safetensors").read_bytes()

    def history(self) -> list[dict[str, float]]:
        with (self.folder / "results" / "lm" / "history.csv").open() as file:
            return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Two processes, that nobody disturbed."""
    clone = Clone(tmp_path_factory.mktemp("undisturbed") / "clone", 2)
    before = set(Path("/tmp").glob("unroll-*"))
    assert clone.start().wait() == 0, clone.log
    assert set(Path("/tmp").glob("unroll-*")) <= before
    return clone


def test_the_stage_starts_processes_which_do_what_one_does(tmp_path):
    one, two = (Clone(tmp_path / str(number), number, 40) for number in (1, 2))
    for clone in (one, two):
        clone.params["runs"]["lm"]["model"]["dropout"] = 0.0
        clone.processes(clone.params["compute"]["processes"])
        assert clone.start().wait() == 0, clone.log
    for row, row_of_one in zip(two.history(), one.history(), strict=True):
        assert row == pytest.approx(row_of_one, rel=1e-4)
    assert two.log.count("valid") == 1  # one of them tells


def test_one_that_is_killed_is_replaced_and_all_end_with_the_same_bits(tmp_path, undisturbed):
    clone = Clone(tmp_path / "clone", 2)
    stage = clone.start()
    clone.reaches(30)
    clone.members()[-1].kill()
    assert stage.wait(120) == 0, clone.log
    assert "a process has died; all begin again (1 of 3)" in clone.log
    assert "goes on from step" in clone.log
    assert clone.weights() == undisturbed.weights()
    assert clone.history() == undisturbed.history()


def test_a_signal_leaves_a_checkpoint_from_which_another_number_goes_on(tmp_path, undisturbed):
    clone = Clone(tmp_path / "clone", 2)
    stage = clone.start()
    clone.reaches(30)
    stage.terminate()
    assert stage.wait(60) == 128 + signal.SIGTERM
    assert "lm: stopped by SIGTERM at step" in clone.log
    assert not clone.members()
    clone.processes(3)
    assert clone.start().wait() == 0, clone.log
    assert "lm: goes on from step" in clone.log
    assert [row["step"] for row in clone.history()] == [row["step"] for row in undisturbed.history()]
    assert clone.history()[-1]["valid_loss"] == pytest.approx(undisturbed.history()[-1]["valid_loss"], rel=0.05)


def test_processes_whose_stage_is_killed_write_a_checkpoint_and_end(tmp_path, undisturbed):
    clone = Clone(tmp_path / "clone", 2)
    stage = clone.start()
    clone.reaches(30)
    stage.kill()
    stage.wait()
    clone.waits(lambda: not clone.members())
    assert "lm: stopped by SIGTERM at step" in clone.log
    assert clone.start().wait() == 0, clone.log
    assert clone.weights() == undisturbed.weights()


def test_a_mistake_is_told_once_and_ends_all(tmp_path):
    clone = Clone(tmp_path / "clone", 2, optimizer="sgd", lr=1e38)
    began = time.monotonic()
    assert clone.start().wait() == 2
    assert time.monotonic() - began < 90
    errors = [line for line in clone.log.splitlines() if "error" in line.lower()]
    assert len(errors) == 1 and errors[0].startswith("error: runs.lm.train: the loss is "), clone.log


@contextmanager
def network():
    """Two network namespaces and the link between them; the test is skipped where there may be none."""
    if shutil.which("ip") is None:
        pytest.skip("there is no `ip`")
    first, second = HOSTS
    try:
        for command in (
            f"ip netns add {first}",
            f"ip netns add {second}",
            "ip link add unroll0 type veth peer name unroll1",
            f"ip link set unroll0 netns {first}",
            f"ip link set unroll1 netns {second}",
            f"ip -n {first} addr add {HOSTS[first]}/24 dev unroll0",
            f"ip -n {second} addr add {HOSTS[second]}/24 dev unroll1",
            *(f"ip -n {host} link set lo up" for host in HOSTS),
            f"ip -n {first} link set unroll0 up",
            f"ip -n {second} link set unroll1 up",
        ):
            done = subprocess.run(command.split(), capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no network namespaces here: {command}: {done.stderr.strip()}")
        yield
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "delete", host], capture_output=True)


def sent(host: str) -> int:
    """Bytes that have gone from a host to the other."""
    devices = subprocess.run(["ip", "netns", "exec", host, "cat", "/proc/net/dev"], capture_output=True, text=True)
    (line,) = [line for line in devices.stdout.splitlines() if "unroll" in line]
    return int(line.split(":")[1].split()[8])


def on_hosts(clones: list[Clone]) -> list[subprocess.Popen[bytes]]:
    return [start_on(clone, number) for number, clone in enumerate(clones)]


def start_on(clone: Clone, number: int) -> subprocess.Popen[bytes]:
    host, first = list(HOSTS)[number], next(iter(HOSTS.values()))
    stated = {"NNODES": "2", "NODE_RANK": str(number), "MASTER_ADDR": first, "MASTER_PORT": PORT}
    return clone.start(host, **stated)


def test_two_hosts_train_together_and_both_have_the_outcome(tmp_path):
    """And what goes over the network is what docs/scale.md says."""
    clones = [Clone(tmp_path / name, 1, save_seconds="60.0", hidden=128) for name in "ab"]
    with network():
        stages = on_hosts(clones)
        assert [stage.wait(240) for stage in stages] == [0, 0], [clone.log for clone in clones]
        given = [sent(host) for host in HOSTS]
    assert clones[0].weights() == clones[1].weights()
    assert clones[0].history() == clones[1].history()
    bundle = json.loads((clones[0].folder / "models" / "lm" / "bundle.json").read_text())
    tensors = 7
    an_update = 4 * bundle["cost"]["parameters"] + 8 * (5 + tensors)
    assert given == pytest.approx([STEPS * an_update] * 2, rel=0.1)  # with headers, and what is told but once


@pytest.mark.parametrize("lost", [0, 1])
def test_a_host_that_is_lost_may_come_again(tmp_path, undisturbed, lost):
    clones = [Clone(tmp_path / name, 1) for name in "ab"]
    with network():
        stages = on_hosts(clones)
        clones[0].reaches(30)
        stages[lost].send_signal(signal.SIGKILL)
        stages[lost].wait()
        for member in clones[lost].members():
            member.kill()
        shutil.rmtree(clones[lost].folder / "checkpoints")  # it is another machine
        if lost == 0:  # where they meet: without it the other one ends, too
            assert stages[1].wait(120) != 0
            assert "did not meet" in clones[1].log or "died" in clones[1].log
            stages = on_hosts(clones)
        else:
            stages[1] = start_on(clones[1], 1)
        assert [stage.wait(240) for stage in stages] == [0, 0], [clone.log for clone in clones]
    assert "goes on from step" in clones[lost].log
    assert clones[0].weights() == clones[1].weights() == undisturbed.weights()
