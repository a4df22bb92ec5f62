"""Learning rates over the course of training."""

import math
from typing import NamedTuple

from unroll.training.settings import TrainSettings


class Place(NamedTuple):
    """Where training is."""

    share: float
    """Of the budget, in [0, 1]."""
    epochs: float
    """Passes over the data so far, with fractions."""
    cuts: int
    """How often validation has stopped improving (`schedule: plateau`)."""


def learning_rate(settings: TrainSettings, place: Place) -> float:
    """The rate at a place: a linear warm-up, then the schedule."""
    if place.share < settings.warmup:
        return settings.lr * place.share / settings.warmup
    match settings.schedule:
        case "constant":
            return settings.lr
        case "cosine":
            rest = (place.share - settings.warmup) / (1 - settings.warmup)
            return settings.lr * (1 + math.cos(math.pi * min(rest, 1.0))) / 2
        case "exponential":
            periods = max(place.epochs - settings.decay_after, 0.0) / settings.decay_every
            return float(settings.lr * settings.decay ** (math.floor(periods) if settings.staircase else periods))
        case "plateau":
            return float(settings.lr * settings.decay**place.cuts)
