"""Copies of checkpoints in a store: what one machine has trained another one goes on from."""

import re
import threading

import fsspec
import pytest
import torch
from fsspec.implementations.local import LocalFileSystem
from test_interruption import IDENTITY
from test_training import Interrupted, StoppedError
from torch import nn

from unroll.errors import UserError
from unroll.training import copies, loop
from unroll.training.copies import Copies, checkpoints_of, within
from unroll.training.loop import Trainer
from unroll.training.settings import TrainSettings

NAME = "0123456789abcdef"  # of a training
SETTINGS = {"steps": 20, "validate_every": 4, "schedule": "cosine", "average": 2, "lr": 0.3}
FAILS_AT = 13


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path):
    """The address of a store that is empty."""
    if request.param == "memory":
        fsspec.filesystem("memory").rm("/", recursive=True)
        return "memory://checkpoints"
    (tmp_path / "shared by all").mkdir()
    return f"file://{tmp_path}/shared by all"


@pytest.fixture(autouse=True)
def saved_each_step(monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)


def train(machine, store, fails_at=10**9):
    """A training in the folder `machine`."""
    torch.manual_seed(1)
    task = Interrupted(fails_at)
    task.network = nn.Sequential(nn.Dropout(0.5), task.network)
    saved = checkpoints_of("mine", NAME, machine, store)
    with saved.held(IDENTITY, "final"):
        trainer = Trainer("mine", task, TrainSettings(**SETTINGS), 1, torch.device("cpu"), saved)
        return trainer, trainer.fit()


def names(folder):
    return sorted(path.name for path in folder.glob("*.pt"))


def test_another_machine_goes_on_and_ends_with_the_same_bits(tmp_path, store, capsys):
    whole, best = train(tmp_path / "undisturbed", None)
    with pytest.raises(StoppedError):
        train(tmp_path / "one", store, FAILS_AT)
    capsys.readouterr()
    again, best_again = train(tmp_path / "two", store)
    assert f"goes on from step {FAILS_AT} of an earlier training" in capsys.readouterr().err
    assert again.history.rows == whole.history.rows
    assert all(torch.equal(best_again.weights[name], weight) for name, weight in best.weights.items())


def test_the_store_has_what_the_machine_has(tmp_path, store):
    train(tmp_path, store)
    fs, root = fsspec.core.url_to_fs(store)
    stored = sorted(path.rpartition("/")[2] for path in fs.ls(f"{root}/{NAME}", detail=False))
    assert stored[-1] == names(tmp_path / NAME)[-1]  # each save is copied unless a newer one waits
    assert len(stored) == 2
    content = (tmp_path / NAME / stored[-1]).read_bytes()
    assert fs.cat_file(f"{root}/{NAME}/{stored[-1]}") == content
    checkpoints_of("mine", NAME, tmp_path, store).clear()
    assert not fs.glob(f"{root}/{NAME}/*")
    assert not (tmp_path / NAME).exists()


def test_a_machine_that_is_further_stays_there(tmp_path, store, capsys):
    with pytest.raises(StoppedError):
        train(tmp_path / "one", store, 5)
    with pytest.raises(StoppedError):
        train(tmp_path / "two", None, 9)
    train(tmp_path / "two", store)
    assert "goes on from step 9" in capsys.readouterr().err


def test_a_damaged_copy_is_named_and_the_one_before_it_used(tmp_path, store, capsys):
    with pytest.raises(StoppedError):
        train(tmp_path / "one", store, FAILS_AT)
    fs, root = fsspec.core.url_to_fs(store)
    before, last = sorted(fs.glob(f"{root}/{NAME}/*.pt"))
    content = bytearray(fs.cat_file(last))
    content[len(content) // 2] ^= 1
    fs.pipe_file(last, bytes(content))
    capsys.readouterr()
    train(tmp_path / "two", store)
    told = capsys.readouterr().err
    assert f"{last}: damaged" in told
    assert f"goes on from step {int(before.rpartition('/')[2][:10])}" in told


def test_a_store_that_is_away_is_told_once_and_ends_nothing(tmp_path, capsys):
    train(tmp_path / "one", f"file://{tmp_path}/not mounted")
    told = capsys.readouterr().err
    assert told.count("it goes on without") == 1
    assert re.search(r"has no copy of 00000000\d\d", told)  # which one is a matter of time
    assert not (tmp_path / "not mounted").exists()


class Slow(LocalFileSystem):
    """Takes what it is given when it may."""

    protocol = "slow"
    may, asked = threading.Event(), 0

    def put_file(self, *arguments, **options):
        type(self).asked += 1
        assert self.may.wait(60)
        super().put_file(*arguments, **options)


@pytest.fixture
def slow(tmp_path):
    fsspec.register_implementation("slow", Slow, clobber=True)
    Slow.may.clear()
    Slow.asked = 0
    (tmp_path / "store").mkdir()
    yield f"slow://{tmp_path}/store"
    Slow.may.set()


def test_training_does_not_wait_and_the_last_one_wins(tmp_path, slow):
    """A store that takes nothing until the training is over has the first state and the last one."""
    saved = checkpoints_of("mine", NAME, tmp_path / "one", slow)
    with saved.held(IDENTITY, "final"):
        for step in range(1, 30):
            saved.save(step, {"step": step})
            while not Slow.asked:  # the first one is on its way
                pass
        Slow.may.set()
    assert Slow.asked == 2
    assert names(tmp_path / "store" / NAME)[-1] == names(saved.folder)[-1]


def test_a_store_that_never_answers_does_not_keep_the_process(tmp_path, slow, monkeypatch, capsys):
    monkeypatch.setattr(copies, "LAST_SECONDS", 0.1)
    saved = checkpoints_of("mine", NAME, tmp_path / "one", slow)
    with saved.held(IDENTITY, "final"):
        saved.save(1, {})
    assert "has not taken the last checkpoint within 0 seconds" in capsys.readouterr().err


def test_what_takes_too_long_is_not_waited_for():
    assert within(60, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(60, lambda: 1 // 0)
    may = threading.Event()
    with pytest.raises(TimeoutError, match="no answer within 0 seconds"):
        within(0.01, lambda: may.wait(60))
    may.set()


@pytest.mark.parametrize("store", ["nothing-of-this-name://bucket", "dropboxx://x"])
def test_an_address_of_no_store_is_refused(store):
    with pytest.raises(UserError, match=f"compute.checkpoints: {store}: Protocol not known"):
        Copies("mine", store, NAME)
