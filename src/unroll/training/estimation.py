"""Fitting a kind that is estimated from counts, without gradients."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from unroll.engine import LOCAL, Engine
from unroll.training.history import History
from unroll.training.progress import TrainingProgress
from unroll.training.ranking import Best


class Stage(Protocol):
    """A model on the way to the one asked for; losses are in nats per token."""

    @property
    def weights(self) -> dict[str, Tensor]: ...
    @property
    def train_loss(self) -> float: ...
    @property
    def valid_loss(self) -> float: ...
    @property
    def tokens(self) -> int:
        """Tokens that it was estimated from."""

    @property
    def remarks(self) -> Sequence[str]:
        """What a person should know of it."""


@runtime_checkable
class Estimable(Protocol):
    """A kind on its data that makes its model itself: what it gives in place of a `task.Task`."""

    @property
    def steps(self) -> int:
        """How many stages there are."""

    def stages(self, engine: Engine = LOCAL) -> Iterator[Stage]:
        """One model after the other; the last is the one asked for. `engine` does what falls into shards."""


class Estimation:
    """What `Trainer` is for gradients: `fit` returns the last stage and fills `history`, a row a stage."""

    def __init__(self, run: str, task: Estimable, engine: Engine) -> None:
        self.run, self.task, self.engine = run, task, engine
        self.history = History()
        self.step = 0
        self.score = None

    def fit(self) -> Best:
        """Go through all stages."""
        best = Best()
        remarks: Sequence[str] = ()
        with TrainingProgress(self.run, 0.0) as progress:
            began = time.perf_counter()
            for stage in self.task.stages(self.engine):
                self.step += 1
                seconds = time.perf_counter() - began
                losses = {"train_loss": stage.train_loss, "valid_loss": stage.valid_loss}
                self.history.add({"step": self.step, "epoch": 1, **losses}, stage.tokens, seconds)
                speed = stage.tokens / max(seconds, 1e-9)
                valid = f"{stage.valid_loss:.3f}"
                progress.show(self.step, self.step / self.task.steps, stage.train_loss, valid, speed)
                best, remarks = Best(stage.valid_loss, step=self.step, weights=stage.weights), stage.remarks
                began = time.perf_counter()
        for remark in remarks:
            print(f"{self.run}  {remark}", file=sys.stderr)
        return best
