"""What the benchmarks train: runs as params.yaml states them, on data that is drawn, update by update."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from unroll.kinds import load_task
from unroll.params import Run
from unroll.text.encoded import EncodedDataset, EncodedField, EncodedSplit
from unroll.text.specials import EOS, SPECIALS
from unroll.training.loop import Trainer
from unroll.training.progress import TrainingProgress
from unroll.training.validation import Validation

CPU = torch.device("cpu")


class Drawn(EncodedDataset):
    """A dataset whose rows are drawn, the same ones for training and validation, with vocabularies of some sizes."""

    def __init__(self, rows: Mapping[str, Sequence[NDArray[np.int64]]], sizes: Mapping[str, int]) -> None:
        self.manifest = {"fields": {name: {"size": size, "vocabulary": name} for name, size in sizes.items()}}
        self.spellings = {}
        self.train = self.valid = EncodedSplit({name: _field(texts) for name, texts in rows.items()}, Path())


def draw_row(random: np.random.Generator, length: int, size: int) -> NDArray[np.int64]:
    """`length` tokens, as frequent as words are (Zipf), and their end."""
    ranks = np.arange(1, size - len(SPECIALS) + 1)
    weights = (1 / (ranks + 2)).cumsum()
    drawn = np.searchsorted(weights, random.random(length) * weights[-1])
    return np.append(drawn + len(SPECIALS), EOS).astype(np.int64)


def _field(rows: Sequence[NDArray[np.int64]]) -> EncodedField:
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    return EncodedField(np.concatenate(rows), np.append(0, lengths.cumsum(dtype=np.int64)), lengths)


def read_run(model: Mapping[str, Any], train: Mapping[str, Any]) -> Any:
    """An entry of `runs`."""
    evaluate = {"metric": "bleu"} if model["kind"] == "seq2seq" else {}
    run = {"dataset": "drawn", "init": "scratch", "seed": 1, "model": model, "train": train, "evaluate": evaluate}
    return TypeAdapter(Run).validate_python(run)


def make_trainer(run: Any, data: EncodedDataset, make: Callable[..., Trainer] = Trainer) -> Trainer:
    """What trains a run on the CPU; nothing is written."""
    torch.manual_seed(run.seed)
    task = load_task(run.model.kind)(run.model, run.train, data, CPU)
    task.network.train()
    return make("bench", task, run.train, run.seed, CPU)


def updates(trainer: Trainer) -> Callable[[], None]:
    """One update of the weights a call, with the batch made for it; epoch after epoch."""

    def batches() -> Iterator[Any]:
        for epoch in range(10**9):
            yield from trainer.task.batches(np.random.default_rng((trainer.seed, epoch)))
            trainer.carry = None

    left = batches()
    return lambda: trainer._update([next(left)])


class Watched(Trainer):
    """A trainer that is looked at after each update and validation; both cost nothing of its time."""

    look: Callable[[float, Validation | None], bool] = staticmethod(lambda seconds, found: False)
    """Called with the seconds of training so far and what a validation has found; says whether that is enough."""
    enough = False
    found: Validation | None = None

    def _record_if_due(self, progress: TrainingProgress) -> None:
        super()._record_if_due(progress)
        if self.at.recorded < self.step:
            self._be_seen(time.perf_counter())

    def _record(self, validate: bool, progress: TrainingProgress) -> None:
        now = time.perf_counter()
        super()._record(validate, progress)
        self._be_seen(now)

    def _judge(self, found: Validation) -> None:
        super()._judge(found)
        self.found = found

    def _be_seen(self, now: float) -> None:
        self.enough = self.look(now - self.started, self.found)
        self.started += time.perf_counter() - now
        self.found = None

    def _finished(self) -> bool:
        return self.enough or super()._finished()
