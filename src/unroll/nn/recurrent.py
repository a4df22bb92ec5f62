"""Recurrent layers: a cell unrolled over time, stacked, in one direction or both.

B batch, T time, I input size, H hidden size.

Two ways keep padding out of the result, and they agree: masked (the default: rows are padded on the right, so no
real position ever sees padding, and what is computed at padded positions is left out afterwards) and packed
(each row is run to its real length only).
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unroll.nn.cells import CELLS, State, Weights
from unroll.nn.settings import CellName

StackState = tuple[State, ...]


class Layer(nn.Module):
    """One layer of one cell in one direction, computed by the library's fused kernel."""

    def __init__(self, cell: CellName, inputs: int, hidden: int) -> None:
        super().__init__()
        self.cell = CELLS[cell]
        self.hidden = hidden
        self.fused = self.cell.library(inputs, hidden, batch_first=True)  # type: ignore[call-arg, arg-type]
        for name, parameter in self.fused.named_parameters():
            if name.startswith("weight_hh"):
                for gate in parameter.chunk(parameter.shape[0] // hidden):
                    nn.init.orthogonal_(gate)

    def initial(self, x_BTI: Tensor) -> State:
        """The zero state for a batch."""
        zeros = x_BTI.new_zeros(x_BTI.shape[0], self.hidden)
        return (zeros,) * self.cell.states

    def forward(
        self, x_BTI: Tensor, state: State | None = None, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Outputs (B, T, H) and the state after the last step.

        With `lengths_B` (on the CPU, each at least 1) every row runs to its own length: outputs beyond are zero and
        the state returned is the one after each row's own last step.
        """
        start = [s.unsqueeze(0) for s in state or self.initial(x_BTI)]
        given = start[0] if self.cell.states == 1 else tuple(start)
        if lengths_B is None:
            y_BTH, last = self.fused(x_BTI, given)
        else:
            packed = pack_padded_sequence(x_BTI, lengths_B, batch_first=True, enforce_sorted=False)
            y_packed, last = self.fused(packed, given)
            y_BTH, _ = pad_packed_sequence(y_packed, batch_first=True, total_length=x_BTI.shape[1])
        last = (last,) if self.cell.states == 1 else last
        return y_BTH, tuple(s.squeeze(0) for s in last)

    def unroll(self, x_BTI: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The same outputs and state as `forward`, one readable tick at a time."""
        weights = Weights(*(cast(Tensor, p) for p in self.fused.parameters()))
        state = state or self.initial(x_BTI)
        outputs = []
        for x_BI in x_BTI.unbind(1):
            state = self.cell.tick(x_BI, state, weights)
            outputs.append(state[0])
        return torch.stack(outputs, dim=1), state


class Recurrent(nn.Module):
    """A stack of layers in one direction, with dropout between them."""

    def __init__(self, cell: CellName, inputs: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.layers = nn.ModuleList(Layer(cell, inputs if n == 0 else hidden, hidden) for n in range(layers))

    def forward(
        self, x_BTI: Tensor, state: StackState | None = None, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, StackState]:
        """Outputs (B, T, H) of the top layer and the state of every layer; `lengths_B` as in `Layer`."""
        states = []
        y = x_BTI
        for n, layer in enumerate(self.layers):
            if n > 0:
                y = F.dropout(y, self.dropout, self.training)
            y, last = layer(y, state[n] if state else None, lengths_B)
            states.append(last)
        return y, tuple(states)


class Bidirectional(nn.Module):
    """A stack in which every layer reads its input in both directions (Schuster and Paliwal, 1997)."""

    def __init__(self, cell: CellName, inputs: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        sizes = [inputs if n == 0 else 2 * hidden for n in range(layers)]
        self.ahead = nn.ModuleList(Layer(cell, size, hidden) for size in sizes)
        self.back = nn.ModuleList(Layer(cell, size, hidden) for size in sizes)

    def forward(self, x_BTI: Tensor, lengths_B: Tensor, packed: bool) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, 2H) of the top layer, and (B, 2H) its last forward with its first backward outputs.

        `lengths_B` lies on the CPU; `packed` runs each row to its real length instead of over its padding.
        """
        order_BT = reversal(lengths_B, x_BTI.shape[1]).to(x_BTI.device)
        pack_B = lengths_B if packed else None
        y = x_BTI
        for n, (ahead, back) in enumerate(zip(self.ahead, self.back, strict=True)):
            if n > 0:
                y = F.dropout(y, self.dropout, self.training)
            forward_BTH, _ = ahead(y, None, pack_B)
            backward_BTH, _ = back(reorder(y, order_BT), None, pack_B)
            y = torch.cat([forward_BTH, reorder(backward_BTH, order_BT)], dim=-1)
        rows = torch.arange(len(lengths_B), device=y.device)
        last_B = (lengths_B - 1).to(y.device)
        hidden = y.shape[-1] // 2
        return y, torch.cat([y[rows, last_B, :hidden], y[:, 0, hidden:]], dim=-1)


def reversal(lengths_B: Tensor, time: int) -> Tensor:
    """Positions (B, T) that reverse each row within its length and leave padding where it is."""
    t_1T = torch.arange(time).unsqueeze(0)
    lengths_B1 = lengths_B.unsqueeze(1)
    return torch.where(t_1T < lengths_B1, lengths_B1 - 1 - t_1T, t_1T)


def reorder(x_BTD: Tensor, order_BT: Tensor) -> Tensor:
    """Each row of `x_BTD` with its positions in the order that `order_BT` gives."""
    return x_BTD.gather(1, order_BT.unsqueeze(-1).expand(-1, -1, x_BTD.shape[-1]))
