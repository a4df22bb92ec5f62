"""Learning rates over the course of training."""

import math

from unroll.training.settings import TrainSettings


def learning_rate(settings: TrainSettings, progress: float) -> float:
    """The rate at `progress` in [0, 1] of the budget: a linear warm-up, then the schedule over what is left."""
    if progress < settings.warmup:
        return settings.lr * progress / settings.warmup
    if settings.schedule == "constant":
        return settings.lr
    rest = (progress - settings.warmup) / (1 - settings.warmup)
    return settings.lr * (1 + math.cos(math.pi * min(rest, 1.0))) / 2
