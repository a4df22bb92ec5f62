"""Settings that several kinds of model share: cells, stacks of them, dropout."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from unroll.settings import Layers, Settings, Width, rule

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

    belongs: ClassVar = {
        "activation": ("cell", ("elman", "jordan")),
        "output_activation": ("cell", ("jordan",)),
        "peepholes": ("cell", ("lstm",)),
    }


class StackSettings(CellSettings):
    """Recurrent layers, one upon the other."""

    hidden: Width
    """Size of the hidden state of each layer."""
    layers: Layers = 1
    """Recurrent layers, one upon the other."""
    output: Width | None = None
    """Width of each layer's output (`cell: jordan`); null: `hidden`."""
    projection: Width | None = None
    """Width to which each layer's output is projected, Sak et al. (2014) (`cell: lstm`); null: none."""
    residual_from: Annotated[Layers, Field(ge=2)] | None = None
    """First layer, counted from 1, whose input is added to its output; null: none."""

    belongs: ClassVar = {"output": ("cell", ("jordan",)), "projection": ("cell", ("lstm",))}

    @rule
    def _projection_is_smaller(self) -> Iterator[str]:
        if self.cell == "lstm" and self.projection is not None and self.projection >= self.hidden:
            yield f"`projection` should be smaller than `hidden`, {self.hidden}; found {self.projection}"

    @rule
    def _crelu_has_two_halves(self) -> Iterator[str]:
        if self.activation == "crelu" and self.hidden % 2:
            yield f"`activation: crelu` gives two units each; `hidden` should be even, found {self.hidden}"

    @rule
    def _crelu_has_two_halves_of_output(self) -> Iterator[str]:
        if self.output_activation == "crelu" and (self.output or self.hidden) % 2:
            yield "`output_activation: crelu` gives two units each; the output's width should be even"

    @rule
    def _residual_layer_is_there(self) -> Iterator[str]:
        if self.residual_from is not None and self.residual_from > self.layers:
            yield f"`residual_from` should be one of the {self.layers} layers, found {self.residual_from}"


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
