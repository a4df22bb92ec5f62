"""Recurrent layers: a cell unrolled over time, stacked, in one direction or both.

B batch, T time, I input size, O output size (H, the hidden size, unless the cell says otherwise).

Two ways keep padding out of the result, and they agree: masked (the default: rows are padded on the right, so no
real position ever sees padding, and what is computed at padded positions is left out afterwards) and packed
(each row is run to its real length only).
"""

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unroll.nn.cells import Cell, State, make_cell
from unroll.nn.dropout import drop_recurrent, drop_units
from unroll.nn.settings import CellSettings, DropoutSettings, StackSettings

StackState = tuple[State, ...]
Way = Literal["library", "steps", "ticks"]
"""How a layer is computed: the library's fused kernel, `nn.steps`, or one readable tick after the other."""


class Layer(nn.Module):
    """One cell over all steps in one direction, in the fastest `Way` that it has where it runs."""

    def __init__(self, cell: Cell, dropout: DropoutSettings) -> None:
        super().__init__()
        self.cell = cell
        self.dropout = dropout

    def initial(self, x_BTI: Tensor) -> State:
        """The zero state for a batch."""
        return tuple(x_BTI.new_zeros(x_BTI.shape[0], width) for width in self.cell.widths())

    def forward(
        self,
        x_BTI: Tensor,
        state: State | None = None,
        lengths_B: Tensor | None = None,
        u_GO: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Outputs (B, T, O) and the state after the last step.

        With `lengths_B` (on the CPU, each at least 1) every row runs to its own length: outputs beyond are zero and
        the state returned is the one after each row's own last step. `u_GO` are recurrent weights that have
        been drawn before, where a sequence is run in several calls.
        """
        if u_GO is None:
            u_GO = drop_recurrent(self.cell.weights()[1], self.dropout, self.training)
        return self.run(self.way(x_BTI), x_BTI, state or self.initial(x_BTI), lengths_B, u_GO)

    def way(self, x_BTI: Tensor) -> Way:
        """How this layer runs on the device of `x_BTI`: on a GPU by the library's kernels wherever it has the cell.

        On the CPU a single step that needs no gradient is a tick: the others turn the weights about before they begin.
        """
        if x_BTI.shape[1] == 1 and not x_BTI.is_cuda and not torch.is_grad_enabled():
            return "ticks"
        if self.cell.library is not None and (x_BTI.is_cuda or not self.cell.has_steps):
            return "library"
        return "steps" if self.cell.has_steps else "ticks"

    def run(
        self, way: Way, x_BTI: Tensor, state: State, lengths_B: Tensor | None = None, u_GO: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """What `forward` returns, in one of the ways; all of them agree but for rounding."""
        u_GO = self.cell.weights()[1] if u_GO is None else u_GO
        ways = {"library": self._library, "steps": self._steps, "ticks": self._ticks}
        return ways[way](x_BTI, state, lengths_B, u_GO)

    def _library(self, x_BTI: Tensor, state: State, lengths_B: Tensor | None, u_GO: Tensor) -> tuple[Tensor, State]:
        if lengths_B is None:
            return self._fused(x_BTI, state, u_GO)
        # Sorted here: `pack_padded_sequence` would do it where the rows are, and wait for a GPU.
        lengths_B, order_B = torch.sort(lengths_B, descending=True)
        order_B, back_B = (rows_B.to(x_BTI.device, non_blocking=True) for rows_B in (order_B, order_B.argsort()))
        packed = pack_padded_sequence(x_BTI.index_select(0, order_B), lengths_B, batch_first=True)
        y_packed, last = self._fused(packed, tuple(s.index_select(0, order_B) for s in state), u_GO)
        y_BTO, _ = pad_packed_sequence(y_packed, batch_first=True, total_length=x_BTI.shape[1])
        return y_BTO.index_select(0, back_B), tuple(s.index_select(0, back_B) for s in last)

    def _fused(self, x: Any, state: State, u_GO: Tensor) -> tuple[Any, State]:
        """The library's layer over a tensor (B, T, I), or over packed rows of which it makes packed ones."""
        library = cast(nn.RNNBase, self.cell.library)
        weights = {} if u_GO is self.cell.weights()[1] else {"weight_hh_l0": u_GO}
        start = [s.unsqueeze(0) for s in state]
        y, last = functional_call(library, weights, (x, start[0] if len(start) == 1 else tuple(start)))
        last = (last,) if len(start) == 1 else last
        return y, tuple(s.squeeze(0) for s in last)

    def _steps(self, x_BTI: Tensor, state: State, lengths_B: Tensor | None, u_GO: Tensor) -> tuple[Tensor, State]:
        real_TB1 = _real(x_BTI, lengths_B)
        y_TBO = self.cell.steps(x_BTI.transpose(0, 1).contiguous(), state, u_GO, real_TB1)
        outputs_TBO = y_TBO if real_TB1 is None else y_TBO * real_TB1
        return outputs_TBO.transpose(0, 1), (y_TBO[-1],)

    def _ticks(self, x_BTI: Tensor, state: State, lengths_B: Tensor | None, u_GO: Tensor) -> tuple[Tensor, State]:
        real_TB1 = _real(x_BTI, lengths_B)
        outputs = []
        for t, a_BG in enumerate(self.cell.inputs(x_BTI).unbind(1)):
            after = self.cell.tick(a_BG, state, u_GO)
            if real_TB1 is None:
                outputs.append(after[0])
                state = after
            else:
                outputs.append(after[0] * real_TB1[t])
                state = tuple(torch.where(real_TB1[t], new, old) for new, old in zip(after, state, strict=True))
        return torch.stack(outputs, dim=1), state


def _real(x_BTI: Tensor, lengths_B: Tensor | None) -> Tensor | None:
    """True (T, B, 1) at the steps that each row has; None if every row has them all."""
    if lengths_B is None:
        return None
    steps_T1 = torch.arange(x_BTI.shape[1]).unsqueeze(1)
    return (steps_T1 < lengths_B).unsqueeze(-1).to(x_BTI.device, non_blocking=True)


class Recurrent(nn.Module):
    """A stack of layers in one direction, with dropout between them."""

    def __init__(self, settings: StackSettings, inputs: int, dropout: DropoutSettings) -> None:
        super().__init__()
        self.dropout = dropout
        self.residual_from = settings.residual_from or settings.layers + 1
        self.layers = nn.ModuleList()
        for _ in range(settings.layers):
            cell = make_cell(settings, inputs, settings.hidden, settings.output, settings.projection)
            self.layers.append(Layer(cell, dropout))
            inputs = cell.output
        self.width = inputs

    def forward(
        self, x_BTI: Tensor, state: StackState | None = None, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, StackState]:
        """Outputs (B, T, O) of the top layer and the state of every layer; `lengths_B` as in `Layer`."""
        states = []
        y = x_BTI
        for n, layer in enumerate(self.layers):
            x = drop_units(y, self.dropout.between, self.dropout, self.training) if n > 0 else y
            y, last = layer(x, state[n] if state else None, lengths_B)
            if n + 1 >= self.residual_from:
                y = y + x
            states.append(last)
        return y, tuple(states)


class Bidirectional(nn.Module):
    """One layer that reads its input in both directions (Schuster and Paliwal, 1997)."""

    def __init__(self, settings: CellSettings, inputs: int, hidden: int, dropout: DropoutSettings) -> None:
        super().__init__()
        self.ahead, self.back = (Layer(make_cell(settings, inputs, hidden), dropout) for _ in range(2))

    def forward(self, x_BTI: Tensor, order_BT: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Outputs (B, T, 2H), forward and backward.

        `order_BT` is the `reversal` of the rows, `lengths_B` as in `Layer`.
        """
        ahead_BTH, _ = self.ahead(x_BTI, None, lengths_B)
        back_BTH, _ = self.back(reorder(x_BTI, order_BT), None, lengths_B)
        return torch.cat([ahead_BTH, reorder(back_BTH, order_BT)], dim=-1)


def reversal(lengths_B: Tensor, time: int) -> Tensor:
    """Positions (B, T) that reverse each row within its length and leave padding where it is."""
    t_1T = torch.arange(time).unsqueeze(0)
    lengths_B1 = lengths_B.unsqueeze(1)
    return torch.where(t_1T < lengths_B1, lengths_B1 - 1 - t_1T, t_1T)


def reorder(x_BTD: Tensor, order_BT: Tensor) -> Tensor:
    """Each row of `x_BTD` with its positions in the order that `order_BT` gives."""
    return x_BTD.gather(1, order_BT.unsqueeze(-1).expand(-1, -1, x_BTD.shape[-1]))
