"""Settings of training that every kind trained by gradient shares."""

from typing import Literal, Self

from pydantic import Field, model_validator

from unroll.settings import Settings


class TrainSettings(Settings):
    """`runs.RUN.train`, but for how a kind makes its batches."""

    optimizer: Literal["adam"] = "adam"
    """Kingma and Ba (2015)."""
    lr: float = Field(gt=0)
    """Peak learning rate."""
    beta2: float = Field(default=0.999, gt=0, lt=1)
    """Decay of Adam's running mean of squared gradients."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the learning rate goes after the warm-up: not at all, or down to zero along half a cosine."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of the budget in which the learning rate rises from zero to `lr`."""
    clip: float | None = Field(default=None, gt=0)
    """Largest global norm of the gradient; null for no clipping."""
    epochs: int | None = Field(default=None, ge=1)
    """Budget in passes over the training split."""
    steps: int | None = Field(default=None, ge=1)
    """Budget in updates."""
    validate_every: int | None = Field(default=None, ge=1)
    """Updates between validations; null for once an epoch."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after this many validations in a row without a new best one; null for never."""

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("state one budget, either `epochs` or `steps`")
        return self
