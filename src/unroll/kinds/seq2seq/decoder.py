"""The decoder: recurrent layers with attention to the source.

B batch, T target time, S source time, E embedding, H decoder state, M memory (as wide as H), F fed-back vector,
N rows of a state: B, or B T where the second axis is not time but hypotheses side by side.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from unroll.kinds.seq2seq.attention import Keys, Source, make_attention
from unroll.kinds.seq2seq.settings import Seq2SeqSettings
from unroll.nn.cells import make_cell
from unroll.nn.dropout import SequenceDropout
from unroll.nn.recurrent import Layer, StackState


class DecoderState(NamedTuple):
    """What a step hands to the next: states of the layers, what is fed back, what each attention knows of its past."""

    layers: StackState
    fed_NF: Tensor | None
    past: tuple[Tensor | None, ...]


class Memory(NamedTuple):
    """An encoded source with the keys of each attention of the decoder, and what is added to the first input if any."""

    source: Source
    keys: tuple[Keys, ...]
    first_BE: Tensor | None = None


class Decoded(NamedTuple):
    """What the output layer reads (B, T, D), the state after the last step, the last attention's weights (B, T, S)."""

    read_BTD: Tensor
    state: DecoderState
    weights_BTS: Tensor


class _Pass:
    """One call of the decoder: what does not change from step to step, and the state, which does."""

    def __init__(self, memory: Memory, state: DecoderState, beam: bool, dropout: SequenceDropout) -> None:
        self.memory, self.beam, self.dropout = memory, beam, dropout
        self.layers, self.past, self.fed = list(state.layers), list(state.past), state.fed_NF

    def state(self) -> DecoderState:
        return DecoderState(tuple(self.layers), self.fed, tuple(self.past))


class Decoder(nn.Module):
    """Layers of one cell, and attention after some of them; what it found is handed to the layers above.

    `attend: every` layer hands what it found to the next one, which so sees where those below have looked (several
    hops, as in Gehring et al., 2017). `first`: what the bottom layer found goes to all layers above (Wu et al., 2016).
    `top`: attention comes last (Luong et al., 2015). The output layer reads tanh(W [h; context]) of the top layer.

    With `input_feeding` the bottom layer reads beside the token what the output layer has read at the step before
    (Luong et al., 2015), or in `attend: first` the context of the step before (Wu et al., 2016); without, training
    computes all target positions of a layer at once.

    Unless it `attends` it knows of the source what its first state and first input tell, and has weights of zero.
    """

    def __init__(self, settings: Seq2SeqSettings, attends: bool = True) -> None:
        super().__init__()
        hidden, layers = settings.hidden, settings.decoder_layers
        self.rates = settings.dropout
        self.attend = settings.attend
        self.residual_from = settings.residual_from or layers + 1
        width = settings.embedding if settings.tied else hidden
        self.fed = 0 if not settings.input_feeding else hidden if self.attend == "first" else width
        above = 2 * hidden if attends and self.attend != "top" else hidden
        sizes = [settings.embedding + self.fed, *[above] * (layers - 1)]
        self.layers = nn.ModuleList(Layer(make_cell(settings, size, hidden), settings.dropout) for size in sizes)
        self.places = {"every": range(layers), "first": range(1), "top": range(layers - 1, layers)}[self.attend]
        self.places = self.places if attends else range(0)
        self.attentions = nn.ModuleList(make_attention(settings) for _ in self.places)
        self.combine = nn.Linear(2 * hidden if attends else hidden, width)

    def memory(self, source: Source) -> Memory:
        """An encoded source, ready to be looked at."""
        return Memory(source, tuple(attention.project(source) for attention in self.attentions))  # type: ignore[operator]

    def first_states(self, h_BX: Tensor) -> StackState:
        """States of the layers whose hidden parts, side by side, are (B, layers H); their other parts are zero."""
        parts = len(self.layers[0].cell.widths())  # type: ignore[union-attr, operator]
        hidden = h_BX.chunk(len(self.layers), dim=-1)
        return tuple((h_BH, *[torch.zeros_like(h_BH)] * (parts - 1)) for h_BH in hidden)

    def start(self, layers: StackState, source: Source) -> DecoderState:
        """The state before the first step: nothing has been looked at or fed back yet."""
        fed_NF = source.values_BSM.new_zeros(len(source.ids_BS), self.fed) if self.fed else None
        return DecoderState(layers, fed_NF, tuple(attention.start(source) for attention in self.attentions))  # type: ignore[operator]

    def forward(
        self, x_BTE: Tensor, memory: Memory, state: DecoderState, beam: bool, dropout: SequenceDropout
    ) -> Decoded:
        """Run T steps; with `beam` the second axis is not time but hypotheses side by side, each one step."""
        going = _Pass(memory, state, beam, dropout)
        everything = range(len(self.layers))
        if not self.fed:
            read, weights = self._read(*self._run(everything, x_BTE, None, None, going), going)
        elif self.attend == "first":
            found = [self._bottom(x, going) for x in self._steps(x_BTE, beam)]
            y, context, weights = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
            read, weights = self._read(*self._run(everything[1:], y, context, weights, going), going)
        else:
            steps = [self._whole(x, going) for x in self._steps(x_BTE, beam)]
            read, weights = (torch.cat(parts, dim=1) for parts in zip(*steps, strict=True))
        return Decoded(read, going.state(), weights)

    @staticmethod
    def _steps(x_BTE: Tensor, beam: bool) -> tuple[Tensor, ...]:
        return (x_BTE,) if beam else torch.split(x_BTE, 1, dim=1)

    def _bottom(self, x_B1E: Tensor, going: _Pass) -> tuple[Tensor, Tensor, Tensor]:
        """A step of the bottom layer and its attention, which feeds back its context."""
        y, context, weights = self._run(range(1), self._with_fed(x_B1E, going), None, None, going)
        assert context is not None and weights is not None
        going.fed = context.flatten(0, 1)
        return y, context, weights

    def _whole(self, x_B1E: Tensor, going: _Pass) -> tuple[Tensor, Tensor]:
        """A step of all layers, which feeds back what the output layer reads."""
        run = self._run(range(len(self.layers)), self._with_fed(x_B1E, going), None, None, going)
        read, weights = self._read(*run, going)
        going.fed = read.flatten(0, 1)
        return read, weights

    @staticmethod
    def _with_fed(x_BTE: Tensor, going: _Pass) -> Tensor:
        assert going.fed is not None
        return torch.cat([x_BTE, going.fed.view(*x_BTE.shape[:2], -1)], dim=-1)

    def _run(
        self, span: range, y: Tensor, context: Tensor | None, weights: Tensor | None, going: _Pass
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The output (B, T, H) of the last layer of `span`, and the last context and weights of attention."""
        for n in span:
            x = y
            if n > 0:
                x = going.dropout.units(
                    y if context is None else torch.cat([y, context], dim=-1), self.rates.between, n
                )
            h = self._layer(n, x, going)
            y = h + y if n + 1 >= self.residual_from else h
            if n in self.places:
                place = self.places.index(n)
                keys, past = going.memory.keys[place], going.past[place]
                context, weights, going.past[place] = self.attentions[place](
                    y, going.memory.source, keys, past, going.beam
                )
        return y, context, weights

    def _layer(self, n: int, x_BTI: Tensor, going: _Pass) -> Tensor:
        layer = self.layers[n]
        assert isinstance(layer, Layer)
        u_GO = going.dropout.recurrent(layer.cell.weights()[1], n)
        rows = x_BTI.flatten(0, 1).unsqueeze(1) if going.beam else x_BTI
        y: Tensor
        y, going.layers[n] = layer(rows, going.layers[n], None, u_GO)
        return y.view(*x_BTI.shape[:2], -1)

    def _read(self, y: Tensor, context: Tensor | None, weights: Tensor | None, going: _Pass) -> tuple[Tensor, Tensor]:
        if weights is None:
            weights = y.new_zeros(()).expand(*y.shape[:2], going.memory.source.mask_BS.shape[1])
        both = y if context is None else torch.cat([y, context], dim=-1)
        both = going.dropout.units(both, self.rates.between, "combine")
        return going.dropout.units(torch.tanh(self.combine(both)), self.rates.output, "output"), weights
