"""Training that is stopped, killed or doubled: nothing of it is lost, and nothing is trained twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from builders import text_dataset
from test_start import CPU, run
from test_training import Unigram, resumable

from unroll.errors import UserError
from unroll.training import history, loop
from unroll.training.checkpoints import Checkpoints, left_behind
from unroll.training.identity import Identity
from unroll.training.interruption import Interruption, Stopped
from unroll.training.memory import want_told
from unroll.training.run import train_run


class Signalled(Unigram):
    """Gets a signal while it looks at some batch."""

    def __init__(self, number, batch, training):
        super().__init__()
        self.number, self.left, self.training = number, batch, training

    def loss(self, batch, carry):
        if self.network.training == self.training:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), self.number)
        return super().loss(batch, carry)


@pytest.mark.parametrize("settings", [{"epochs": 6}, {"steps": 14, "validate_every": 4, "schedule": "cosine"}])
@pytest.mark.parametrize(("training", "batch"), [(True, 1), (True, 3), (True, 10), (False, 1), (False, 2)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_a_checkpoint_and_the_same_bits_at_the_end(
    tmp_path, monkeypatch, capsys, settings, training, batch, number
):
    whole, best = resumable(tmp_path / "whole", settings)
    monkeypatch.setattr("test_training.Interrupted", lambda fails_at: Signalled(number, batch, training))
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as left:
        resumable(tmp_path / "stopped", settings)
    assert left.value.code == 128 + number
    assert signal.getsignal(number) == before
    assert f"stopped by {signal.Signals(number).name} at step" in capsys.readouterr().err
    monkeypatch.undo()
    again, best_again = resumable(tmp_path / "stopped", settings)
    assert again.history.rows == whole.history.rows
    assert all(torch.equal(best_again.weights[name], weight) for name, weight in best.weights.items())


def test_a_second_signal_does_what_it_always_does():
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Stopped):
            interruption.look()
        os.kill(os.getpid(), signal.SIGINT)


IDENTITY = Identity("mine", {"train": {"lr": 0.1}}, "data", "code", "")


def test_one_process_trains_a_run_and_the_next_one_waits_for_it(tmp_path, capsys):
    script = (
        "import sys, time; from pathlib import Path; from test_interruption import IDENTITY\n"
        "from unroll.training.checkpoints import Checkpoints\n"
        "with Checkpoints(Path(sys.argv[1])).held(IDENTITY, 'final'): print('held', flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    command = [sys.executable, "-c", script, str(tmp_path / "one")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        with Checkpoints(tmp_path / "two").held(IDENTITY, "final"):  # other settings do not wait
            pass
        began = time.monotonic()
        signal.signal(signal.SIGALRM, lambda *_: other.kill())
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with Checkpoints(tmp_path / "one").held(IDENTITY, "final"):
            assert time.monotonic() - began >= 0.5
            assert json.loads((tmp_path / "one" / "run.json").read_text())["process"]["id"] == os.getpid()
        assert f"mine: waits for process {other.pid} on " in capsys.readouterr().err


def test_what_is_trained_is_not_cleared(tmp_path):
    one = Checkpoints(tmp_path / "one")
    with one.held(IDENTITY, "final"):
        Checkpoints(tmp_path / "one").clear()
        assert one.folder.is_dir()
    one.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_other_settings_is_not_used_and_the_run_says_why(tmp_path, monkeypatch, capsys):
    data = text_dataset(tmp_path / "data", ["a b", "b a"] * 20, {"unit": "word"})
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)

    def train(lr):
        chosen = run(lr=lr)
        paths = (tmp_path / name for name in ("model", "results", "checkpoints"))
        train_run("mine", chosen, data, tmp_path / "data" / "vocab", tmp_path, [Path(__file__)], CPU, *paths)

    train(0.1)
    capsys.readouterr()
    train(0.2)
    told = capsys.readouterr().err
    assert "is not used: runs.mine.train.lr was 0.1 and is 0.2\n" in told
    assert len(list(left_behind(tmp_path / "checkpoints"))) == 2


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"train": {"lr": 0.2}}, ["runs.mine.train.lr was 0.1 and is 0.2"]),
        ({"train": {"lr": 0.1, "clip": 1}}, ["runs.mine.train.clip was not stated and is 1"]),
        ({"train": {"clip": 1}}, ["runs.mine.train.clip was not stated and is 1",
                                  "runs.mine.train.lr was 0.1 and is not stated"]),
        ({"train": {"lr": 0.1}}, []),
    ],
)  # fmt: skip
def test_differences_are_told_by_their_place(now, told):
    assert list(Identity("mine", now, "data", "code", "").differences(IDENTITY.stated())) == told
    others = Identity("mine", now, "other", "other", "other").differences(IDENTITY.stated())
    assert list(others) == [
        *told,
        "the data is another",
        "the code is another",
        "the run that it starts from is another",
    ]


def test_whoever_watches_sees_the_history_while_it_is_made(tmp_path, monkeypatch):
    seen = []

    class Watched(Unigram):
        def loss(self, batch, carry):
            seen.append((tmp_path / "history.csv").read_text().count("\n") - 1)
            return super().loss(batch, carry)

    monkeypatch.setattr("test_training.Interrupted", lambda fails_at: Watched())
    trainer, _ = resumable(tmp_path, {"epochs": 3})
    assert sorted(set(seen)) == [0, 1, 2]
    trainer.history.write(tmp_path / "whole")
    for name in ("history.csv", "timing.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_clock_that_goes_backwards_changes_no_duration(tmp_path, monkeypatch):
    clock = iter(range(10**9, 0, -1000))
    monkeypatch.setattr(history.time, "time", lambda: next(clock))
    trainer, _ = resumable(tmp_path, {"epochs": 4})
    for name in ("time", "seconds"):
        values = [float(row[name]) for row in trainer.history.timings]
        assert values == sorted(values) and values[-1] - values[0] < 60


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["python", "gpu", "cpu"],
)
def test_want_of_memory_names_the_batch_and_what_would_help(error):
    batch = {"ids": (torch.zeros(64, 99),), "lengths": torch.zeros(64)}
    told = r"runs\.mine\.train: out of memory at step 7, in a batch of 64 × 99, 64; .*bptt"
    with pytest.raises(UserError, match=told), want_told("mine", 7, [batch, batch]):
        raise error
    with pytest.raises(RuntimeError, match="another"), want_told("mine", 7, [batch]):
        raise RuntimeError("another")


def test_memory_that_is_really_not_there_is_told(tmp_path, monkeypatch):
    class Large(Unigram):
        def loss(self, batch, carry):
            torch.empty(1 << 50)
            return super().loss(batch, carry)

    monkeypatch.setattr("test_training.Interrupted", lambda fails_at: Large())
    with pytest.raises(UserError, match="out of memory at step 1"):
        resumable(tmp_path, {"epochs": 1})
