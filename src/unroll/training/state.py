"""All that training needs to go on: what a checkpoint holds of a `Trainer`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils._pytree import tree_map

from unroll.kinds.bundle import put_weights, weights_of
from unroll.text.batches import WHOLE, Part

if TYPE_CHECKING:
    from unroll.training.loop import Trainer


@dataclass
class Position:
    """Where training is."""

    step: int = 0
    """Whole updates."""
    epoch: int = 0
    batch: int = 0
    """Batches of this epoch."""
    recorded: int = 0
    """The step of the last row of the history."""
    validated: int = -1
    """The step of the last validation."""
    cuts: int = 0
    """Of the rate, by `schedule: plateau`."""
    seconds: float = 0.0
    """Of training before this start."""


def state_of(trainer: "Trainer", seconds: float) -> dict[str, Any]:
    """Of a training of so many `seconds` that is between two updates, as `restore` reads it; in all processes alike."""
    on_gpu = trainer.device.type == "cuda"
    random = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state() if on_gpu else None}
    return {
        "position": {**asdict(trainer.at), "seconds": seconds},
        "weights": weights_of(trainer.task.network),
        "optimizer": trainer.optimizer.state_dict(),
        "average": trainer.average.state(),
        "ranking": trainer.ranking.state(),
        "carry": _joined(trainer.group.gather(trainer.carry)),
        "window": trainer.window.state(),
        "ranks": trainer.ranks,
        "history": trainer.history.state(),
        "random": trainer.group.gather(random),
    }


def restore(trainer: "Trainer", state: dict[str, Any]) -> None:
    """Put `trainer`, which is of the same training, where `state_of` found another.

    There may be another number of processes now: each has the lanes of its part, and those that are new draw random
    numbers of their own.
    """
    group = trainer.group
    trainer.at = Position(**state["position"])
    put_weights(trainer.task.network, state["weights"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.average.restore(state["average"])
    trainer.ranking.restore(state["ranking"])
    trainer.carry = _part_of(state["carry"], group.part)
    trainer.window.restore(state["window"])
    trainer.ranks = state["ranks"]
    trainer.history.restore(state["history"], trainer.at.seconds)
    if group.rank >= len(state["random"]):
        seed_process(trainer.seed, group.rank, trainer.at.step)
        return
    random = state["random"][group.rank]
    torch.set_rng_state(random["cpu"].cpu())
    if random["cuda"] is not None:
        torch.cuda.set_rng_state(random["cuda"].cpu())


def seed_process(seed: int, rank: int, step: int) -> None:
    """Have the process `rank` draw random numbers that no other draws, from `step` on."""
    (state,) = np.random.SeedSequence((seed, rank, step)).generate_state(1, np.uint64)
    torch.manual_seed(int(state))


def _joined(carries: Sequence[Any]) -> Any:
    """What is carried of all lanes (B, ...), from what each process carries of its own."""
    there = [carry for carry in carries if carry is not None]
    if len(there) < 2:
        return there[0] if there else None
    return tree_map(lambda *parts: torch.cat(parts), *there)


def _part_of(carry: Any, part: Part) -> Any:
    """What is carried of the lanes of `part`: in memory of its own, for sums may round by where they begin."""
    return carry if part == WHOLE else tree_map(lambda x_B: x_B[part.slice(len(x_B))].clone(), carry)
