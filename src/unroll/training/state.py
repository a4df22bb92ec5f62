"""All that training needs to go on: what a checkpoint holds of a `Trainer`."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from unroll.kinds.bundle import put_weights, weights_of

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
    """Of a training of so many `seconds` that is between two updates, as `restore` reads it."""
    return {
        "position": {**asdict(trainer.at), "seconds": seconds},
        "weights": weights_of(trainer.task.network),
        "optimizer": trainer.optimizer.state_dict(),
        "average": trainer.average.state(),
        "ranking": trainer.ranking.state(),
        "carry": trainer.carry,
        "window": trainer.window.state(),
        "ranks": trainer.ranks,
        "history": trainer.history.state(),
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if trainer.device.type == "cuda" else [],
    }


def restore(trainer: "Trainer", state: dict[str, Any]) -> None:
    """Put `trainer`, which is of the same training, where `state_of` found another."""
    trainer.at = Position(**state["position"])
    put_weights(trainer.task.network, state["weights"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.average.restore(state["average"])
    trainer.ranking.restore(state["ranking"])
    trainer.carry = state["carry"]
    trainer.window.restore(state["window"])
    trainer.ranks = state["ranks"]
    trainer.history.restore(state["history"], trainer.at.seconds)
    torch.set_rng_state(state["random"].cpu())
    if state["random_cuda"]:
        torch.cuda.set_rng_state_all([random.cpu() for random in state["random_cuda"]])
