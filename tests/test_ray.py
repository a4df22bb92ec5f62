"""A real Ray cluster of two nodes on loopback: what it makes is what one process makes, to the byte, whatever dies."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from builders import text_dataset
from prepared import UNITS, contents, corpus, prepare
from shard_work import dies_once, fails, slow

from unroll import cluster as cluster_module
from unroll.cluster import RayEngine
from unroll.errors import UserError
from unroll.kinds.ngram import counts as counts_module
from unroll.kinds.ngram.settings import NgramSettings, NgramTraining
from unroll.kinds.ngram.task import Task

ROOT = Path(__file__).parent.parent
PORT = 6411
ADDRESS = f"127.0.0.2:{PORT}"
pytestmark = pytest.mark.cluster


def start(tmp: Path, *options: str) -> "subprocess.Popen[bytes]":
    """A node, in a process group of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": str(tmp),
    }
    small = ("--num-cpus=1", "--object-store-memory=100000000", "--block")
    code = "import sys; from ray.scripts.scripts import main; sys.exit(main())"
    with (tmp / f"{len(list(tmp.iterdir()))}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", code, "start", *options, *small],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(node: "subprocess.Popen[bytes]") -> None:
    """End a node and all that it has started."""
    family = psutil.Process(node.pid).children(recursive=True)
    node.send_signal(signal.SIGTERM)
    with_it = [psutil.Process(node.pid), *family]
    for process in psutil.wait_procs(with_it, timeout=15)[1]:
        process.kill()
    node.wait()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory) -> Iterator[list[Any]]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e .[ray]")
    tmp = Path("/tmp") / f"unroll-ray-{os.getpid()}"  # sockets' paths have to be short
    tmp.mkdir()
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}")  # what shards are given to
    started = [start(tmp, "--head", "--node-ip-address=127.0.0.2", f"--port={PORT}", "--include-dashboard=false")]
    try:
        ray = connected(120)
        started.append(start(tmp, f"--address={ADDRESS}", "--node-ip-address=127.0.0.3"))
        wait_for(lambda: len([node for node in ray.nodes() if node["Alive"]]) == 2, 120)
        yield started
        ray.shutdown()
    finally:
        for node in reversed(started):
            end(node)
        patch.undo()
        shutil.rmtree(tmp, ignore_errors=True)


def connected(seconds: float) -> Any:
    last = time.monotonic() + seconds
    while True:
        try:
            return cluster_module.connect(ADDRESS)
        except UserError:
            assert time.monotonic() < last
            time.sleep(1)


def wait_for(condition: Any, seconds: float) -> None:
    last = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.1)


@pytest.fixture
def engine(nodes) -> RayEngine:
    return RayEngine(ADDRESS, None, 1, 0)


def test_both_nodes_work_and_results_are_in_order(engine, tmp_path):
    assert engine.at_once == 2
    found = list(engine.map_shards(slow, [tmp_path / str(n) for n in range(8)]))
    assert len(set(found)) >= 2
    assert [int(next(tmp_path.glob(f"{n}.*")).suffix[1:]) for n in range(8)] == found


@pytest.mark.parametrize("unit", UNITS)
def test_data_sets_are_those_of_one_process(engine, tmp_path, unit):
    corpus(tmp_path / "raw", rows=45, group_rows=20)
    prepare(tmp_path / "raw", tmp_path / "here", unit)
    prepare(tmp_path / "raw", tmp_path / "cluster", unit, engine)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "here")


def test_n_grams_are_those_of_one_process(engine, tmp_path, monkeypatch):
    data = text_dataset(tmp_path, ["a b a c a b", "b a", "c a b a"], {"unit": "word"})
    task = Task(NgramSettings(kind="ngram", order=3), NgramTraining(context="text"), data, torch.device("cpu"))
    whole = [stage.weights for stage in task.stages()]
    monkeypatch.setattr(counts_module, "SHARD_TOKENS", 4)
    parts = [stage.weights for stage in task.stages(engine)]
    assert all(torch.equal(a[name], b[name]) for a, b in zip(parts, whole, strict=True) for name in a)
    assert len(parts) == len(whole) == 3


def test_a_shard_whose_worker_is_killed_is_worked_on_again(engine, tmp_path):
    shards = [tmp_path / str(n) for n in range(6)]
    results = engine.map_shards(dies_once, shards)
    assert list(results) == [shard.name for shard in shards]
    died = {path.name.partition(".")[0] for path in tmp_path.glob("*.died")}
    assert died == {shard.name for shard in shards}


def test_what_a_shard_raises_comes_out(engine):
    with pytest.raises(UserError) as raised:
        list(engine.map_shards(fails, range(3)))
    assert raised.value.problems == ["one", "two"]


def test_a_node_with_other_code_is_refused(engine, monkeypatch):
    ours = cluster_module.installed()
    monkeypatch.setattr(cluster_module, "installed", lambda: {**ours, "torch": "0.1"})
    with pytest.raises(UserError, match=r"node .* has torch .* where 0.1 is asked for; results would not be the same"):
        list(engine.map_shards(str, range(3)))


def test_what_no_node_can_is_told(nodes):
    with pytest.raises(UserError, match="a task takes 64 CPUs and 0 GPUs, and no node of the Ray cluster has them"):
        list(RayEngine(ADDRESS, None, 64, 0).map_shards(str, range(3)))
