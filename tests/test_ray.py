"""A real Ray cluster of two nodes on loopback: what it makes is what one process makes, to the byte, whatever dies."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from builders import image_dataset, pair_dataset, text_dataset
from prepared import UNITS, contents, corpus, prepare
from shard_work import dies_once, fails, slow
from test_captioner import task as captioner
from test_repro_jobs import PARAMS, UNROLL, Project, untouched  # noqa: F401 (a fixture)
from test_seq2seq import pairs, predictor_of, settings

from unroll import cluster as cluster_module
from unroll.cli.cluster_runs import ClusterChildren
from unroll.cluster import RayEngine
from unroll.engine import LOCAL, Engine, engine_of
from unroll.errors import UserError
from unroll.kinds.captioner import predictor as captioner_module
from unroll.kinds.captioner.predictor import CaptionPredictor
from unroll.kinds.captioner.settings import CaptionDecodeSettings
from unroll.kinds.ngram import counts as counts_module
from unroll.kinds.ngram.settings import NgramSettings, NgramTraining
from unroll.kinds.ngram.task import Task
from unroll.kinds.seq2seq import predictor as predictor_module
from unroll.kinds.seq2seq.settings import DecodeSettings
from unroll.nn.device import ComputeSettings
from unroll.nn.device import prepare as prepare_torch

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


@pytest.fixture
def decoding(nodes) -> Iterator[Engine]:
    """An engine as evaluation has it, and this process as it prepares itself."""
    compute = ComputeSettings(device="cpu", engine="ray", address=ADDRESS)
    prepare_torch(compute)
    yield engine_of(compute, LOCAL, partial(prepare_torch, compute))
    torch.set_float32_matmul_precision("highest")


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


@pytest.mark.parametrize("more", [{}, {"sample": {"temperature": 2.0, "seed": 3}}], ids=["beam", "sample"])
def test_hypotheses_are_those_of_one_process(decoding, tmp_path, monkeypatch, more):
    monkeypatch.setattr(predictor_module, "POSITIONS", 24)  # a few sources a batch
    data = pair_dataset(tmp_path, pairs(23))
    predictor, chosen = predictor_of(data, settings()), DecodeSettings(beam=1 if more else 3, **more)
    sources = [*data.raw_texts("test", "source"), "a b new c", ""]
    told: list[int] = []
    found = predictor.decode_nbest(sources, chosen, 2, told.append, decoding)
    whole = predictor.decode_nbest(sources, chosen, 2)
    assert sum(told) == len(sources) and len(told) > 3
    for several, expected in zip(found, whole, strict=True):
        for one, other in zip(several, expected, strict=True):
            assert one._replace(alignment=None) == other._replace(alignment=None)
            assert one.alignment.tobytes() == other.alignment.tobytes()


def test_captions_are_those_of_one_process(decoding, tmp_path, monkeypatch):
    monkeypatch.setattr(captioner_module, "IMAGES", 1)  # a batch
    data = image_dataset(tmp_path)
    network = captioner(data, "attention").network
    predictor = CaptionPredictor(network, data.vocabularies["target"], data.manifest["images"], torch.device("cpu"))
    images, chosen = list(data.valid.images.arrays), CaptionDecodeSettings(beam=2, max_length=5)
    found, whole = predictor.decode(images, chosen, engine=decoding), predictor.decode(images, chosen)
    assert [one._replace(alignment=None) for one in found] == [one._replace(alignment=None) for one in whole]
    assert len(found) == len(images) > 1


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


# What `train@first` does the first time: it kills the worker that runs it, and waits to be ended.
KILLS = """
if [ "$1" = train@first ] && [ ! -f killed ]; then
    touch killed
    "$PYTHON" -c "
import os, psutil, signal
for process in psutil.Process().parents():
    if process.cmdline()[:1] and process.cmdline()[0].startswith('ray::'):
        os.kill(process.pid, signal.SIGKILL)
"
    sleep 60
    touch survived
fi
"""

# What a stage does on a node whose data set is prepared by all nodes.
NESTED = f"""
from unroll.cluster import RayEngine
print(list(RayEngine({ADDRESS!r}, None, 1, 0).map_shards(str, range(3))))
raise SystemExit(7)
"""


def test_a_command_on_a_node_asks_the_cluster_itself(nodes):
    lines: list[str] = []
    code = ClusterChildren(ADDRESS).run_on_cluster(["-c", NESTED], {}, lines.append, 0, 0)
    assert (code, lines[-1:]) == (7, ["['0', '1', '2']"])


def on_cluster(project: Project, folder: Path) -> Project:
    """A copy of the project, whose params.yaml names the cluster."""
    shutil.copytree(project.folder, folder / "copy", symlinks=True)
    copied = Project(folder / "copy")
    copied.write({**PARAMS, "compute": {**PARAMS["compute"], "address": ADDRESS}})
    return copied


def test_runs_on_the_nodes_give_what_dvc_repro_gives_though_a_worker_is_killed(nodes, untouched, tmp_path):  # noqa: F811
    serial, project = on_cluster(untouched, tmp_path / "a"), on_cluster(untouched, tmp_path / "b")
    assert serial.run("dvc", "repro").returncode == 0
    step = project.folder / "step.sh"
    step.write_text(KILLS.replace("$PYTHON", sys.executable) + step.read_text())
    done = project.run(*UNROLL, "repro", "--jobs", "ray")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"8 parts to run, on the Ray cluster at {ADDRESS}: ")
    assert "first  the worker on the cluster died; begun again" in done.stdout
    assert (project.folder / "killed").exists() and not (project.folder / "survived").exists()
    assert project.locked() == serial.locked()
    assert "up to date" in project.run("dvc", "repro").stdout


def test_ctrl_c_ends_what_runs_on_the_nodes(nodes, untouched, tmp_path):  # noqa: F811
    project = on_cluster(untouched, tmp_path)
    (project.folder / "slow").touch()
    process = project.start(*UNROLL, "repro", "--jobs", "ray")
    wait_for(lambda: len(project.steps()) >= 2 or process.poll() is not None, 200)
    running = [p for p in psutil.process_iter(["cmdline"]) if "step.sh" in " ".join(p.info["cmdline"] or ())]
    assert running
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert psutil.wait_procs(running, timeout=20)[1] == []


def test_a_cluster_that_is_away_is_told_before_anything_starts(nodes, untouched, tmp_path):  # noqa: F811
    project = on_cluster(untouched, tmp_path)
    project.write({**PARAMS, "compute": {**PARAMS["compute"], "address": "127.0.0.2:6499"}})
    done = project.run(*UNROLL, "repro", "--jobs", "ray")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: compute.address: no Ray cluster at 127.0.0.2:6499: ")
    assert "start one with `ray start --head`" in done.stderr
    assert project.steps() == []
