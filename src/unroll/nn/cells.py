"""Recurrent cells: one readable tick each.

B batch, I input size, H hidden size, O output size, G gates. A state is a tuple of tensors with B rows, what the layer
hands on first. A tick starts from `a_BG`, the input's share W x + b of all gates, which `inputs` computes for all
steps at once. Where torch.nn computes the same mathematics, `library` is its layer, whose parameters the cell uses; and
`steps`, where a cell has it, computes all ticks with a gradient written by hand: `Layer` in recurrent.py may run any.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unroll.nn.activations import ACTIVATIONS, SLOPES, before, start_recurrence
from unroll.nn.settings import CellSettings
from unroll.nn.steps import elman_steps, gru_steps, jordan_steps

State = tuple[Tensor, ...]


class Cell(nn.Module):
    """What every cell has: weights of the gates from the input and from the state, and how one step goes.

    `core` holds W (G, I), U (G, O), b and c (G,), in this order, under the names of torch.nn.
    """

    def __init__(self, core: nn.Module, hidden: int, output: int, normalised: int | None) -> None:
        super().__init__()
        self.core = core
        self.hidden, self.output = hidden, output
        self.has_library = isinstance(core, nn.RNNBase) and normalised is None
        self.has_steps = False
        self.norm_input = nn.LayerNorm(normalised) if normalised else nn.Identity()
        self.norm_state = nn.LayerNorm(normalised) if normalised else nn.Identity()

    @property
    def library(self) -> nn.RNNBase | None:
        """The layer of torch.nn that computes the same, if there is one."""
        return cast(nn.RNNBase, self.core) if self.has_library else None

    def widths(self) -> tuple[int, ...]:
        """The width of each tensor of the state."""
        return (self.output,)

    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """W (G, I), U (G, O), b (G,), c (G,)."""
        own = cast(dict[str, Tensor], self.core._parameters)  # `parameters()` takes longer than a small tick
        w_ih, w_hh, b_ih, b_hh, *_ = own.values()
        return w_ih, w_hh, b_ih, b_hh

    def inputs(self, x_BTI: Tensor) -> Tensor:
        """W x + b (B, T, G) of all steps."""
        w_ih, _, b_ih, _ = self.weights()
        return cast(Tensor, self.norm_input(F.linear(x_BTI, w_ih))) + b_ih

    def all_inputs(self, x_TBI: Tensor) -> Tensor:
        """W x + b + c (T, B, G) of all steps."""
        w_ih, _, b_ih, b_hh = self.weights()
        return F.linear(x_TBI, w_ih) + (b_ih + b_hh)

    def recur(self, h_BO: Tensor, u_GO: Tensor) -> Tensor:
        """U h + c (B, G)."""
        return cast(Tensor, self.norm_state(F.linear(h_BO, u_GO))) + self.weights()[3]

    def tick(self, a_BG: Tensor, state: State, u_GO: Tensor) -> State:
        """The state after one step; `u_GO` are the recurrent weights, of which some may have been dropped."""
        raise NotImplementedError

    def steps(self, x_TBI: Tensor, state: State, u_GO: Tensor, real_TB1: Tensor | None) -> Tensor:
        """What each of T ticks hands on (T, B, O); it stays where `real_TB1` is false.

        Only of cells that say so in `has_steps`.
        """
        raise NotImplementedError


class Gates(nn.Module):
    """Weights like torch.nn's, for cells that it does not have: uniform in ±1/√H, the recurrent ones set elsewhere."""

    def __init__(self, gates: int, inputs: int, output: int, hidden: int) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.empty(gates, inputs))
        self.weight_hh = nn.Parameter(torch.empty(gates, output))
        self.bias_ih = nn.Parameter(torch.empty(gates))
        self.bias_hh = nn.Parameter(torch.empty(gates))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)


class Elman(Cell):
    """h' = σ(W x + b + U h + c), σ = tanh by default. Elman (1990), Finding structure in time."""

    def __init__(self, settings: CellSettings, inputs: int, hidden: int) -> None:
        units = before(settings.activation, hidden)
        core: nn.Module
        if settings.activation in ("tanh", "relu"):
            core = nn.RNN(inputs, hidden, nonlinearity=settings.activation, batch_first=True)
        else:
            core = Gates(units, inputs, hidden, hidden)
        super().__init__(core, hidden, hidden, units if settings.layer_norm else None)
        self.activation = settings.activation
        self.has_steps = not settings.layer_norm and settings.activation in SLOPES
        start_recurrence(self.weights()[1], settings.activation)

    def tick(self, a_BG: Tensor, state: State, u_GO: Tensor) -> State:
        (h_BH,) = state
        return (ACTIVATIONS[self.activation](a_BG + self.recur(h_BH, u_GO)),)

    def steps(self, x_TBI: Tensor, state: State, u_GO: Tensor, real_TB1: Tensor | None) -> Tensor:
        return elman_steps(self.all_inputs(x_TBI), state[0], u_GO, self.activation, real_TB1)


class Jordan(Cell):
    """h' = σ_h(W x + b + U y + c), y' = σ_y(V h' + d): the layer's output y is what is fed back.

    Jordan (1986), Serial order: a parallel distributed processing approach.
    """

    def __init__(self, settings: CellSettings, inputs: int, hidden: int, output: int | None) -> None:
        output = output or hidden
        units = before(settings.activation, hidden)
        super().__init__(Gates(units, inputs, output, hidden), hidden, output, units if settings.layer_norm else None)
        self.activation, self.output_activation = settings.activation, settings.output_activation
        self.has_steps = not settings.layer_norm and {self.activation, self.output_activation} <= SLOPES.keys()
        self.read = nn.Linear(hidden, before(settings.output_activation, output))
        start_recurrence(self.weights()[1], settings.activation)
        start_recurrence(self.read.weight, settings.output_activation)

    def tick(self, a_BG: Tensor, state: State, u_GO: Tensor) -> State:
        (y_BO,) = state
        h_BH = ACTIVATIONS[self.activation](a_BG + self.recur(y_BO, u_GO))
        return (ACTIVATIONS[self.output_activation](self.read(h_BH)),)

    def steps(self, x_TBI: Tensor, state: State, u_GO: Tensor, real_TB1: Tensor | None) -> Tensor:
        a_TBH, activations = self.all_inputs(x_TBI), (self.activation, self.output_activation)
        return jordan_steps(a_TBH, state[0], u_GO, self.read.weight, self.read.bias, activations, real_TB1)


class LSTM(Cell):
    """i, f, o = σ(W x + U h + b); g = tanh(W x + U h + b); c' = f c + i g; h' = o tanh(c').

    Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000). With a projection
    h' = R (o tanh(c')), Sak et al. (2014). With peepholes i and f add p c, and o adds p c', each gate with its own p
    (Gers and Schmidhuber, 2000). With layer norm h' = o tanh(norm(c')), Ba et al. (2016).
    """

    def __init__(self, settings: CellSettings, inputs: int, hidden: int, projection: int | None) -> None:
        core = nn.LSTM(inputs, hidden, batch_first=True, proj_size=projection or 0)
        super().__init__(core, hidden, projection or hidden, 4 * hidden if settings.layer_norm else None)
        self.projects = projection is not None
        self.peepholes = nn.Parameter(torch.zeros(3, hidden)) if settings.peepholes else None
        self.has_library = self.has_library and not settings.peepholes
        self.norm_cell = nn.LayerNorm(hidden) if settings.layer_norm else nn.Identity()
        for gate in self.weights()[1].chunk(4):
            nn.init.orthogonal_(gate)

    def widths(self) -> tuple[int, ...]:
        return self.output, self.hidden

    def gates(self, a_BG: Tensor, state: State, u_GO: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """i, f, c' and o, each (B, H)."""
        h_BO, c_BH = state
        i, f, g, o = (a_BG + self.recur(h_BO, u_GO)).chunk(4, dim=-1)
        if self.peepholes is not None:
            i, f = i + self.peepholes[0] * c_BH, f + self.peepholes[1] * c_BH
        i, f = torch.sigmoid(i), torch.sigmoid(f)
        c_BH = f * c_BH + i * torch.tanh(g)
        if self.peepholes is not None:
            o = o + self.peepholes[2] * c_BH
        return i, f, c_BH, torch.sigmoid(o)

    def tick(self, a_BG: Tensor, state: State, u_GO: Tensor) -> State:
        _, _, c_BH, o = self.gates(a_BG, state, u_GO)
        h_BH = o * torch.tanh(self.norm_cell(c_BH))
        if self.projects:
            h_BH = F.linear(h_BH, cast(Tensor, self.core.weight_hr_l0))
        return h_BH, c_BH


class GRU(Cell):
    """r, z = σ(W x + b + U h + c); n = tanh(W x + b + r (U h + c)); h' = (1 - z) n + z h. Cho et al. (2014)."""

    def __init__(self, settings: CellSettings, inputs: int, hidden: int) -> None:
        core = nn.GRU(inputs, hidden, batch_first=True)
        super().__init__(core, hidden, hidden, 3 * hidden if settings.layer_norm else None)
        self.has_steps = not settings.layer_norm
        for gate in self.weights()[1].chunk(3):
            nn.init.orthogonal_(gate)

    def gates(self, a_BG: Tensor, state: State, u_GO: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """r, z and n, each (B, H)."""
        (h_BH,) = state
        ar, az, an = a_BG.chunk(3, dim=-1)
        hr, hz, hn = self.recur(h_BH, u_GO).chunk(3, dim=-1)
        r, z = torch.sigmoid(ar + hr), torch.sigmoid(az + hz)
        return r, z, torch.tanh(an + r * hn)

    def tick(self, a_BG: Tensor, state: State, u_GO: Tensor) -> State:
        _, z, n = self.gates(a_BG, state, u_GO)
        return ((1 - z) * n + z * state[0],)

    def steps(self, x_TBI: Tensor, state: State, u_GO: Tensor, real_TB1: Tensor | None) -> Tensor:
        w_ih, _, b_ih, b_hh = self.weights()
        return gru_steps(F.linear(x_TBI, w_ih), state[0], u_GO, b_ih, b_hh, real_TB1)


def make_cell(
    settings: CellSettings, inputs: int, hidden: int, output: int | None = None, projection: int | None = None
) -> Cell:
    """The cell that `settings` name; `output` is a Jordan cell's width, `projection` an LSTM's."""
    match settings.cell:
        case "elman":
            return Elman(settings, inputs, hidden)
        case "jordan":
            return Jordan(settings, inputs, hidden, output)
        case "lstm":
            return LSTM(settings, inputs, hidden, projection)
        case "gru":
            return GRU(settings, inputs, hidden)
