"""Recurrent cells: one tick each, on the parameters of the library's fused layer.

B batch, I input size, H hidden size. A state is a tuple of tensors (B, H), the hidden state first.
The fused layers of torch.nn compute the same mathematics over all time steps; `Layer` in recurrent.py
uses them, and the ticks here are the readable reference that tests hold them to.
"""

from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unroll.nn.settings import CellName

State = tuple[Tensor, ...]


class Weights(NamedTuple):
    """Parameters of one cell, gates stacked along the first axis as torch.nn stacks them."""

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor
    b_hh: Tensor


class Cell(Protocol):
    """One tick of a recurrent network: from an input and a state to the next state."""

    library: ClassVar[type[nn.RNNBase]]
    states: ClassVar[int]

    def tick(self, x_BI: Tensor, state: State, w: Weights) -> State:
        """The state after reading `x_BI`; its first tensor is the cell's output."""


class Elman:
    """h' = tanh(W x + b + U h + c). Elman (1990), Finding structure in time."""

    library: ClassVar[type[nn.RNNBase]] = nn.RNN
    states: ClassVar[int] = 1

    def tick(self, x_BI: Tensor, state: State, w: Weights) -> State:
        (h_BH,) = state
        return (torch.tanh(F.linear(x_BI, w.w_ih, w.b_ih) + F.linear(h_BH, w.w_hh, w.b_hh)),)


class LSTM:
    """i, f, o = σ(…), g = tanh(…); c' = f c + i g; h' = o tanh(c').

    Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000).
    """

    library: ClassVar[type[nn.RNNBase]] = nn.LSTM
    states: ClassVar[int] = 2

    def tick(self, x_BI: Tensor, state: State, w: Weights) -> State:
        h_BH, c_BH = state
        gates = F.linear(x_BI, w.w_ih, w.b_ih) + F.linear(h_BH, w.w_hh, w.b_hh)
        i, f, g, o = gates.chunk(4, dim=-1)
        c_BH = torch.sigmoid(f) * c_BH + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c_BH), c_BH


class GRU:
    """r, z = σ(…); n = tanh(W x + b + r (U h + c)); h' = (1 - z) n + z h. Cho et al. (2014)."""

    library: ClassVar[type[nn.RNNBase]] = nn.GRU
    states: ClassVar[int] = 1

    def tick(self, x_BI: Tensor, state: State, w: Weights) -> State:
        (h_BH,) = state
        xr, xz, xn = F.linear(x_BI, w.w_ih, w.b_ih).chunk(3, dim=-1)
        hr, hz, hn = F.linear(h_BH, w.w_hh, w.b_hh).chunk(3, dim=-1)
        z = torch.sigmoid(xz + hz)
        n = torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
        return ((1 - z) * n + z * h_BH,)


CELLS: dict[CellName, Cell] = {"elman": Elman(), "lstm": LSTM(), "gru": GRU()}
