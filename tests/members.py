"""What each process of a group runs, in `tests/test_processes.py`: small trainings, whose outcome it leaves in a file.

A module of its own, since it is imported again in each process.
"""

import os
import socket
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from test_accumulate import CPU, pair_task, text_task
from torch import nn

from unroll.kinds.captioner.settings import CaptionerBatches, CaptionerSettings
from unroll.kinds.captioner.task import Task as ImageTask
from unroll.nn.losses import Loss
from unroll.text.batches import dealt
from unroll.text.encoded import EncodedDataset
from unroll.text.vocabulary import load_vocabularies
from unroll.training.checkpoints import Checkpoints
from unroll.training.decoded import DecodedScore
from unroll.training.loop import Trainer
from unroll.training.parallel import Group
from unroll.training.settings import TrainSettings

STOP, STEPS = 5, 9  # where a training is left, and where it ends
SGD = {"optimizer": "sgd", "lr": 0.3, "momentum": 0.5, "clip": 0.5}
STREAM = {"context": "stream", "batch_size": 3, "bptt": 4}


def image_task(data, **batches):
    torch.manual_seed(1)
    model = CaptionerSettings(kind="captioner", cell="gru", embedding=4, hidden=6, image="attention", channels=[4])
    return ImageTask(model, CaptionerBatches(**batches), data, CPU)


class Sometimes:
    """Parameters that are used in some batches, or by some processes, or never: -Σ a x, with b for odd x beside."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.network = nn.ParameterDict({name: torch.ones(2, dtype=torch.float64) for name in ("a", "b", "c")})

    def epoch_steps(self):
        return 3

    def batches(self, order):
        for numbers in ([2, 4], [3, 2], [5]):
            mine = dealt(np.array(numbers), np.array(numbers), self.part).tolist()
            yield mine or None

    def valid_batches(self):
        yield [1]

    def loss(self, batch, carry):
        nats = torch.zeros((), dtype=torch.float64)
        for x in batch:
            nats = nats + (self.network["a"] * x).pow(2).sum()
            if x % 2:
                nats = nats + (self.network["b"] * x).pow(2).sum()
        return Loss(nats, len(batch)), None


SMOOTH = {"label_smoothing": 0.1}
PENALTIES = {"activation_penalty": 1.0, "change_penalty": 1.0}
CASES = {
    "stream": (text_task, "text", {**STREAM, **PENALTIES}, {"epochs": 2}),
    "stream, accumulated": (text_task, "text", STREAM, {"epochs": 2, "accumulate": 3}),
    "stream, fewer lanes than processes": (text_task, "text", {**STREAM, "batch_size": 1, "bptt": 40}, {"steps": 6}),
    "texts": (text_task, "text", {"context": "text", "batch_size": 5, **SMOOTH}, {"epochs": 2}),
    "texts, packed": (text_task, "text", {"context": "text", "batch_size": 5, "padding": "pack"}, {"epochs": 2}),
    "pairs": (pair_task, "pairs", {"batch_size": 2, **SMOOTH}, {"steps": 13, "validate_every": 5, "patience": 9}),
    "pairs by tokens": (pair_task, "pairs", {"batch_tokens": 40, "select": "bleu"}, {"epochs": 2, "accumulate": 2}),
    "images": (image_task, "images", {"batch_size": 5}, {"epochs": 1}),
    "used by some": (lambda _: Sometimes(), "text", {}, {"epochs": 2, "optimizer": "adamw", "lr": 0.1,
                                                         "momentum": 0.0, "weight_decay": 0.1}),
}  # fmt: skip


def train(case: str, folder: Path, group: Group):
    """Its weights and the rows of its history."""
    make, name, batches, settings = CASES[case]
    data = EncodedDataset.open(folder / name / "encoded")
    task, score = make(data, **batches), None
    if "select" in batches:
        vocabularies = load_vocabularies(folder / name / "vocab")
        score = DecodedScore(task, data, vocabularies, batches["select"], "en", 7)
    trainer = Trainer("run", task, TrainSettings(**{**SGD, **settings}), 1, CPU, None, score, group)
    trainer.fit()
    return dict(task.network.named_parameters()), trainer.history.rows


def go_on(folder: Path, group: Group, steps: int, dropout: float = 0.0):
    """Train a stream so many steps, from the last checkpoint in `folder`, or there."""
    data = EncodedDataset.open(folder.parent / "text" / "encoded")
    task = text_task(data, **STREAM)
    task.network.rates = task.network.rates.model_copy(update={"input": dropout, "output": dropout})
    settings = TrainSettings(**SGD, steps=steps, validate_every=1)
    trainer = Trainer("run", task, settings, 1, CPU, Checkpoints(folder), None, group)
    trainer.fit()
    return dict(task.network.named_parameters()), trainer.history.rows


def member(rank: int, size: int, port: int, folder: Path) -> None:
    """Be one process of a group: do all of it, and leave what came out in `folder`."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    from unroll.training.processes import Processes

    group = Processes(CPU)
    found = {"cases": {case: train(case, folder, group) for case in CASES}}
    found["whole"] = go_on(folder / "whole", group, STEPS, dropout=0.3)
    go_on(folder / "in two", group, STOP, dropout=0.3)
    found["random"] = group.gather(torch.rand(3))
    found["in two"] = go_on(folder / "in two", group, STEPS, dropout=0.3)
    go_on(folder / "two to one", group, STOP)
    found["one to two"] = go_on(folder / "one to two", group, STEPS)
    before = group.given
    train("stream", folder, group)
    found["given"] = group.given - before
    torch.save(found, folder / f"{rank}.pt")
    group.leave()


@contextmanager
def running(size: int, folder: Path):
    """A group at work in `folder`; at the end of the block it has ended well."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = get_context("spawn")
    members = [context.Process(target=member, args=(rank, size, port, folder)) for rank in range(size)]
    for process in members:
        process.start()
    yield
    for process in members:
        process.join()
    assert [process.exitcode for process in members] == [0] * size
