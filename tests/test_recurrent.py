"""Cells against torch.nn and against their equations, and both ways to keep padding out."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unroll.nn.activations import ACTIVATIONS
from unroll.nn.cells import make_cell
from unroll.nn.recurrent import Bidirectional, Layer, Recurrent, reorder, reversal
from unroll.nn.settings import CellSettings, DropoutSettings, StackSettings

pytestmark = pytest.mark.usefixtures("doubles")

LIBRARY = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELLS: list[dict[str, Any]] = [
    {"cell": "elman"},
    {"cell": "elman", "activation": "relu"},
    {"cell": "elman", "activation": "crelu"},
    {"cell": "elman", "layer_norm": True},
    {"cell": "jordan"},
    {"cell": "jordan", "activation": "sigmoid", "output_activation": "linear"},
    {"cell": "jordan", "output_activation": "crelu"},
    {"cell": "lstm"},
    {"cell": "lstm", "peepholes": True},
    {"cell": "lstm", "layer_norm": True},
    {"cell": "gru"},
    {"cell": "gru", "layer_norm": True},
]
LIBRARY_CELLS = [{"cell": "elman"}, {"cell": "elman", "activation": "relu"}, {"cell": "lstm"}, {"cell": "gru"}]
NONE = DropoutSettings()


def name_of(cell: dict[str, Any]) -> str:
    return "-".join(str(value) if key != "layer_norm" else "norm" for key, value in cell.items())


each_cell = pytest.mark.parametrize("cell", CELLS, ids=name_of)


def make_layer(inputs: int, hidden: int, dropout: DropoutSettings = NONE, **cell: Any) -> Layer:
    sizes = {name: cell.pop(name) for name in ("output", "projection") if name in cell}
    layer = Layer(make_cell(CellSettings(**cell), inputs, hidden, **sizes), dropout)
    for parameter in layer.parameters():  # no bias, gain or peephole is left at a value that hides it
        parameter.data += 0.1 * torch.randn_like(parameter)
    return layer


def gradients(y: Tensor, layer: nn.Module) -> list[Tensor]:
    weights = torch.sin(torch.arange(y.numel(), dtype=y.dtype)).view_as(y)
    return list(torch.autograd.grad((y * weights).sum(), list(layer.parameters())))


def assert_same(found, expected, atol=1e-12):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=atol)


@pytest.mark.parametrize(
    "cell",
    [*LIBRARY_CELLS, {"cell": "lstm", "projection": 3}],
    ids=name_of,
)
@pytest.mark.parametrize("lengths", [None, [5, 2, 7]], ids=["masked", "packed"])
def test_ticks_agree_with_the_librarys_layer(cell, lengths):
    layer = make_layer(5, 7, **cell)
    assert layer.cell.library is not None
    x = torch.randn(3, 7, 5)
    state = tuple(torch.randn(3, width) for width in layer.cell.widths())
    lengths = None if lengths is None else torch.tensor(lengths)
    y, last = layer.run("library", x, state, lengths)
    y_ticks, last_ticks = layer.run("ticks", x, state, lengths)
    assert_same([y, *last], [y_ticks, *last_ticks])
    assert_same(gradients(y, layer), gradients(y_ticks, layer), atol=1e-10)


@pytest.mark.parametrize(("cell", "library"), LIBRARY.items())
def test_stack_agrees_with_torch_nn(cell, library):
    stack = Recurrent(StackSettings(cell=cell, hidden=6, layers=3), 4, NONE)
    peer = library(4, 6, num_layers=3, batch_first=True)
    for n, layer in enumerate(stack.layers):
        for name, parameter in layer.cell.core.named_parameters():
            getattr(peer, name.replace("l0", f"l{n}")).data.copy_(parameter)
    x = torch.randn(2, 9, 4)
    y, states = stack(x)
    y_peer, last = peer(x)
    last = last if isinstance(last, tuple) else (last,)
    assert_same([y], [y_peer])
    for n, state in enumerate(states):
        assert_same(state, [part[n] for part in last])


def fill(layer: Layer, *values: float) -> None:
    for parameter, value in zip(layer.parameters(), values, strict=True):
        parameter.data.fill_(value)


@pytest.mark.parametrize("activation", ["tanh", "relu", "relu6", "elu", "softplus", "softsign", "sigmoid"])
def test_elman_by_hand(activation):
    layer = make_layer(1, 1, cell="elman", activation=activation)
    fill(layer, 0.5, -1.0, 0.1, 0.2)
    by_hand = {
        "tanh": math.tanh,
        "relu": lambda z: max(z, 0),
        "relu6": lambda z: min(max(z, 0), 6),
        "elu": lambda z: z if z > 0 else math.exp(z) - 1,
        "softplus": lambda z: math.log(1 + math.exp(z)),
        "softsign": lambda z: z / (1 + abs(z)),
        "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    }[activation]
    first = by_hand(0.5 * 1 - 1.0 * 0.3 + 0.3)
    second = by_hand(0.5 * 20 - 1.0 * first + 0.3)
    y, _ = layer(torch.tensor([[[1.0], [20.0]]]), (torch.tensor([[0.3]]),))
    torch.testing.assert_close(y.flatten(), torch.tensor([first, second]))


def test_crelu_gives_both_halves():
    assert ACTIVATIONS["crelu"](torch.tensor([2.0, -3.0])).tolist() == [2, 0, 0, 3]


def test_jordan_by_hand():
    layer = make_layer(1, 1, cell="jordan", output_activation="sigmoid")
    fill(layer, 0.5, -1.0, 0.1, 0.2, 1.5, -0.4)
    y = 0.3
    expected = []
    for x in (1.0, 2.0):
        h = math.tanh(0.5 * x + 0.1 - 1.0 * y + 0.2)
        y = 1 / (1 + math.exp(-(1.5 * h - 0.4)))
        expected.append(y)
    found, last = layer(torch.tensor([[[1.0], [2.0]]]), (torch.tensor([[0.3]]),))
    torch.testing.assert_close(found.flatten(), torch.tensor(expected))
    assert last[0].item() == pytest.approx(y)


def test_a_jordan_layer_hands_on_and_feeds_back_its_output():
    stack = Recurrent(StackSettings(cell="jordan", hidden=6, output=3, layers=2), 4, NONE)
    y, states = stack(torch.randn(2, 5, 4))
    assert y.shape == (2, 5, 3)
    assert [part.shape for state in states for part in state] == [(2, 3), (2, 3)]


def test_peepholes_by_hand():
    layer = make_layer(1, 1, cell="lstm", peepholes=True)
    with torch.no_grad():
        for parameter in layer.cell.core.parameters():
            parameter.fill_(0.5)
        layer.cell.peepholes.copy_(torch.tensor([[0.3], [-0.7], [1.1]]))
    x, h, c = 2.0, 0.1, -0.4

    def sigmoid(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    z = 0.5 * x + 0.5 * h + 1.0
    after = sigmoid(z - 0.7 * c) * c + sigmoid(z + 0.3 * c) * math.tanh(z)
    expected = sigmoid(z + 1.1 * after) * math.tanh(after)
    y, last = layer(torch.tensor([[[x]]]), (torch.tensor([[h]]), torch.tensor([[c]])))
    assert y.item() == pytest.approx(expected)
    assert last[1].item() == pytest.approx(after)


def test_layer_norm_takes_out_scale_and_shift():
    layer = Layer(make_cell(CellSettings(cell="gru", layer_norm=True), 5, 7), NONE)
    for bias in layer.cell.weights()[2:]:
        nn.init.zeros_(bias)
    x = torch.randn(3, 4, 5)
    y, _ = layer(x)
    layer.cell.weights()[0].data *= 3.0
    layer.cell.weights()[1].data *= 0.2
    torch.testing.assert_close(layer(x)[0], y, rtol=0, atol=5e-3)  # the norm's epsilon
    plain = Layer(make_cell(CellSettings(cell="gru"), 5, 7), NONE)
    y, _ = plain(x)
    plain.cell.weights()[0].data *= 3.0
    assert (plain(x)[0] - y).abs().max() > 0.1


@pytest.mark.parametrize("activation", ["relu", "relu6", "crelu"])
def test_rectified_cells_begin_by_keeping_their_state(activation):
    layer = Layer(make_cell(CellSettings(cell="elman", activation=activation), 3, 4), NONE)
    for bias in layer.cell.weights()[2:]:
        nn.init.zeros_(bias)
    state = ACTIVATIONS[activation](torch.tensor([[0.5, -1.0]] if activation == "crelu" else [[0.5, 1.0, 2.0, 0.0]]))
    y, _ = layer(torch.zeros(1, 6, 3), (state,))
    torch.testing.assert_close(y[0, -1], state[0])


@each_cell
def test_packed_and_masked_agree(cell):
    stack = Recurrent(StackSettings(**cell, hidden=6, layers=2, residual_from=2), 4, NONE)
    lengths = torch.tensor([5, 2, 7, 1])
    x = torch.randn(4, 7, 4)
    masked, _ = stack(x)
    packed, states = stack(x, None, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, alone_states = stack(x[row : row + 1, :length])
        assert_same([packed[row, :length], masked[row, :length]], [alone[0], alone[0]])
        assert_same([part[row] for part in states[-1]], [part[0] for part in alone_states[-1]])
        assert not packed[row, length:].any()


@each_cell
def test_a_state_carried_on_gives_the_same_as_one_piece(cell):
    stack = Recurrent(StackSettings(**cell, hidden=6, layers=2), 4, NONE)
    x = torch.randn(2, 9, 4)
    whole, last = stack(x)
    first, state = stack(x[:, :4])
    second, state = stack(x[:, 4:], state)
    assert_same([torch.cat([first, second], dim=1)], [whole])
    for a, b in zip(state, last, strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("packed", [False, True])
@each_cell
def test_bidirectional_rows_do_not_see_their_padding(cell, packed):
    layer = Bidirectional(CellSettings(**cell), 4, 6, NONE)
    lengths = torch.tensor([5, 2, 7, 1])
    x = torch.randn(4, 9, 4)
    y = layer(x, reversal(lengths, 9), lengths if packed else None)
    for row, length in enumerate(lengths.tolist()):
        one = lengths[row : row + 1]
        alone = layer(x[row : row + 1, :length], reversal(one, length), one if packed else None)
        assert_same([y[row, :length]], [alone[0]])


@pytest.mark.parametrize(("cell", "library"), LIBRARY.items())
def test_bidirectional_agrees_with_torch_nn(cell, library):
    bidirectional = Bidirectional(CellSettings(cell=cell), 4, 6, NONE)
    peer = library(4, 6, batch_first=True, bidirectional=True)
    for layer, suffix in ((bidirectional.ahead, ""), (bidirectional.back, "_reverse")):
        for name, parameter in layer.cell.core.named_parameters():
            getattr(peer, f"{name}{suffix}").data.copy_(parameter)
    x = torch.randn(2, 5, 4)
    y = bidirectional(x, reversal(torch.tensor([5, 5]), 5))
    assert_same([y], [peer(x)[0]])


def test_reversal_turns_each_row_within_its_length():
    order = reversal(torch.tensor([3, 1]), 4)
    assert order.tolist() == [[2, 1, 0, 3], [0, 1, 2, 3]]
    x = torch.arange(8).view(2, 4, 1)
    assert reorder(x, order).squeeze(-1).tolist() == [[2, 1, 0, 3], [4, 5, 6, 7]]


def test_a_residual_layer_adds_its_input():
    plain = Recurrent(StackSettings(cell="gru", hidden=6, layers=2), 4, NONE)
    residual = Recurrent(StackSettings(cell="gru", hidden=6, layers=2, residual_from=2), 4, NONE)
    residual.load_state_dict(plain.state_dict())
    x = torch.randn(2, 5, 4)
    first, _ = plain.layers[0](x)
    assert_same([residual(x)[0]], [plain(x)[0] + first])
