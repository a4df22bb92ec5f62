"""Settings that several kinds of model share: cells, stacks of them, dropout."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from unroll.settings import Settings

CellName = Literal["elman", "jordan", "lstm", "gru"]
ActivationName = Literal["tanh", "relu", "relu6", "crelu", "elu", "softplus", "softsign", "sigmoid"]
OutputActivationName = Literal["tanh", "relu", "relu6", "crelu", "elu", "softplus", "softsign", "sigmoid", "linear"]
Share = Annotated[float, Field(ge=0, lt=1)]


class CellSettings(Settings):
    """One recurrent cell, but for its sizes."""

    cell: CellName
    """The recurrent cell."""
    activation: ActivationName = "tanh"
    """Of the hidden state (`cell: elman` and `jordan`)."""
    output_activation: OutputActivationName = "tanh"
    """Of a layer's output, which is fed back (`cell: jordan`)."""
    peepholes: bool = False
    """Gates that see the cell state, Gers and Schmidhuber (2000) (`cell: lstm`)."""
    layer_norm: bool = False
    """Normalise what enters each gate, Ba et al. (2016). Slower: the library's fused layers do not have it."""

    @model_validator(mode="after")
    def _options_of_the_cell(self) -> Self:
        own = {"activation": {"elman", "jordan"}, "output_activation": {"jordan"}, "peepholes": {"lstm"}}
        for name, cells in own.items():
            if self.cell not in cells and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"`{name}` belongs to cell: {' and '.join(sorted(cells))}, not {self.cell}")
        return self


class StackSettings(CellSettings):
    """Recurrent layers, one upon the other."""

    hidden: int = Field(ge=1)
    """Size of the hidden state of each layer."""
    layers: int = Field(default=1, ge=1)
    """Recurrent layers, one upon the other."""
    output: int | None = Field(default=None, ge=1)
    """Width of each layer's output (`cell: jordan`); null: `hidden`."""
    projection: int | None = Field(default=None, ge=1)
    """Width to which each layer's output is projected, Sak et al. (2014) (`cell: lstm`); null: none."""
    residual_from: int | None = Field(default=None, ge=2)
    """First layer, counted from 1, whose input is added to its output; null: none."""

    @model_validator(mode="after")
    def _sizes_of_the_cell(self) -> Self:
        if self.output is not None and self.cell != "jordan":
            raise ValueError(f"`output` belongs to cell: jordan, not {self.cell}")
        if self.projection is not None and self.cell != "lstm":
            raise ValueError(f"`projection` belongs to cell: lstm, not {self.cell}")
        if self.projection is not None and self.projection >= self.hidden:
            raise ValueError(f"`projection` should be smaller than `hidden`, {self.hidden}; found {self.projection}")
        if self.activation == "crelu" and self.hidden % 2:
            raise ValueError(f"`activation: crelu` gives two units each; `hidden` should be even, found {self.hidden}")
        if self.output_activation == "crelu" and (self.output or self.hidden) % 2:
            raise ValueError("`output_activation: crelu` gives two units each; the output's width should be even")
        if self.residual_from is not None and self.residual_from > self.layers:
            raise ValueError(f"`residual_from` should be one of the {self.layers} layers, found {self.residual_from}")
        return self


class DropoutSettings(Settings):
    """Shares of what is dropped in training, each time anew."""

    words: Share = 0.0
    """Whole tokens, at all places of a sequence alike: rows of the embeddings (Gal and Ghahramani, 2016)."""
    input: Share = 0.0
    """Units of the embedded input."""
    between: Share = 0.0
    """Units between layers."""
    output: Share = 0.0
    """Units of the top layer's output."""
    recurrent: Share = 0.0
    """Of the recurrent weights, once a sequence: see `recurrent_drops`."""
    recurrent_drops: Literal["weights", "units"] = "weights"
    """`weights`: single weights, DropConnect as in Merity et al. (2018); `units`: all that comes from a unit of the
    state before, as in Gal and Ghahramani (2016)."""
    variational: bool = False
    """Drop the same units at all steps of a sequence (Gal and Ghahramani, 2016)."""


def _spread(value: Any) -> Any:
    """A single number stands for the input, between layers and the output."""
    return {"input": value, "between": value, "output": value} if isinstance(value, int | float) else value


Dropout = Annotated[DropoutSettings, BeforeValidator(_spread)]
