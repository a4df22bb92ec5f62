"""Settings of training that every kind trained by gradient shares."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unroll.settings import Count, Settings, rule


class TrainSettings(Settings):
    """`runs.RUN.train`, but for how a kind makes its batches."""

    optimizer: Literal["adam", "adamw", "sgd", "nt-asgd"] = "adam"
    """adam: Kingma and Ba (2015). adamw: Loshchilov and Hutter (2019). sgd: stochastic gradient descent. nt-asgd: the
    same, its weights averaged once validation no longer improves (Merity et al., 2018)."""
    lr: float = Field(gt=0)
    """Peak learning rate."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Of `sgd`."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of Adam's running mean of gradients."""
    beta2: float = Field(default=0.999, gt=0, lt=1)
    """Decay of Adam's running mean of squared gradients."""
    trigger: Count = 5
    """nt-asgd averages once a validation is worse than the best of those more than so many before it."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Of matrices, not of biases: `adamw` shrinks weights by lr times it, the others add it times w to the gradient."""
    schedule: Literal["constant", "exponential", "cosine", "plateau"] = "constant"
    """How the rate goes after the warm-up: not at all; times `decay` every so often; down to zero along half a cosine;
    times `decay` when validation no longer improves."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of the budget in which the learning rate rises from zero to `lr`."""
    decay: float = Field(default=0.5, gt=0, lt=1)
    """Factor of `schedule: exponential` and `plateau`."""
    decay_every: float = Field(default=1.0, gt=0)
    """Epochs in which the rate is multiplied by `decay` once."""
    decay_after: float = Field(default=0.0, ge=0)
    """Epochs before the decay begins."""
    staircase: bool = True
    """Decay at once at the end of each `decay_every`; false: a little with each update."""
    plateau: Count = 1
    """Validations in a row without a new best one after which the rate is multiplied by `decay`."""
    clip: float | None = Field(default=None, gt=0)
    """Largest global norm of the gradient; null for no clipping."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What training multiplies matrices in; weights, sums, softmax, losses and the optimiser are in float32, and so is
    all of validation and evaluation. `auto`: bfloat16 on a GPU that has it, else float32."""
    accumulate: Count = 1
    """Batches of an update: the gradient is that of one batch which holds them all, at the memory of one; an epoch's
    last update has what is left. Of a stream they are consecutive segments, and gradients end at each."""
    epochs: Count | None = None
    """Budget in passes over the training split."""
    steps: Count | None = None
    """Budget in updates."""
    minutes: float | None = Field(default=None, gt=0)
    """Budget in minutes, validation included. Not the same twice: `cost.steps` says which `steps` repeat it."""
    validate_every: Count | None = None
    """Updates between validations; null for once an epoch."""
    patience: Count | None = None
    """Stop after this many validations in a row without a new best one; null for never."""

    average: Annotated[Count, Field(ge=2)] | None = None
    """At the end the weights of so many best validations are averaged; the mean is the finished model if it validates
    better than the best of them. Of the best, where Vaswani et al. (2017) take the last: with `patience` the last are
    those that were no better. Null: the best weights."""

    belongs: ClassVar = {
        "momentum": ("optimizer", ("sgd",)),
        "beta1": ("optimizer", ("adam", "adamw")),
        "beta2": ("optimizer", ("adam", "adamw")),
        "trigger": ("optimizer", ("nt-asgd",)),
        "decay": ("schedule", ("exponential", "plateau")),
        "decay_every": ("schedule", ("exponential",)),
        "decay_after": ("schedule", ("exponential",)),
        "staircase": ("schedule", ("exponential",)),
        "plateau": ("schedule", ("plateau",)),
    }

    @rule
    def _one_budget(self) -> Iterator[str]:
        if sum(budget is not None for budget in (self.epochs, self.steps, self.minutes)) != 1:
            yield "state one budget: `epochs`, `steps` or `minutes`"

    @property
    def open_ended(self) -> bool:
        """Whether the rate of a step does not depend on the budget, so that a larger one may go on."""
        return self.schedule != "cosine" and self.warmup == 0 and self.minutes is None
