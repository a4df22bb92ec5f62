"""Cells against torch.nn, and both ways to keep padding out."""

import pytest
import torch
from torch import Tensor, nn

from unroll.nn.cells import CELLS
from unroll.nn.recurrent import Bidirectional, Layer, Recurrent, reorder, reversal

CELL_NAMES = sorted(CELLS)


@pytest.fixture(autouse=True)
def _doubles():
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def gradients(y: Tensor, layer: nn.Module) -> list[Tensor]:
    weights = torch.sin(torch.arange(y.numel(), dtype=y.dtype)).view_as(y)
    return list(torch.autograd.grad((y * weights).sum(), list(layer.parameters())))


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_ticks_agree_with_the_fused_layer(cell):
    layer = Layer(cell, 5, 7)
    x = torch.randn(3, 11, 5)
    state = tuple(torch.randn(3, 7) for _ in range(layer.cell.states))
    y, last = layer(x, state)
    y_ticks, last_ticks = layer.unroll(x, state)
    torch.testing.assert_close(y, y_ticks, rtol=0, atol=1e-12)
    for a, b in zip(last, last_ticks, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    for a, b in zip(gradients(y, layer), gradients(y_ticks, layer), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("cell", "library"), [("elman", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_stack_agrees_with_torch_nn(cell, library):
    stack = Recurrent(cell, 4, 6, layers=3, dropout=0.0)
    peer = library(4, 6, num_layers=3, batch_first=True)
    for n, layer in enumerate(stack.layers):
        for name, parameter in layer.fused.named_parameters():
            getattr(peer, name.replace("l0", f"l{n}")).data.copy_(parameter)
    x = torch.randn(2, 9, 4)
    y, states = stack(x)
    y_peer, last = peer(x)
    torch.testing.assert_close(y, y_peer, rtol=0, atol=1e-12)
    last = last if isinstance(last, tuple) else (last,)
    for n, state in enumerate(states):
        for part, peer_part in zip(state, last, strict=True):
            torch.testing.assert_close(part, peer_part[n], rtol=0, atol=1e-12)


def test_elman_tick_by_hand():
    layer = Layer("elman", 1, 1)
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), (0.5, -1.0, 0.1, 0.2), strict=True):
            parameter.fill_(value)
    y, _ = layer.unroll(torch.tensor([[[1.0], [2.0]]]), (torch.tensor([[0.3]]),))
    first = torch.tanh(torch.tensor(0.5 * 1 - 1.0 * 0.3 + 0.3))
    second = torch.tanh(0.5 * 2 - first + 0.3)
    torch.testing.assert_close(y.flatten(), torch.stack([first, second]))


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_packed_and_masked_agree(cell):
    stack = Recurrent(cell, 4, 6, layers=2, dropout=0.0)
    lengths = torch.tensor([5, 2, 7, 1])
    x = torch.randn(4, 7, 4)
    masked, _ = stack(x)
    packed, states = stack(x, None, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(packed[row, :length], masked[row, :length], rtol=0, atol=1e-12)
        assert not packed[row, length:].any()
        alone, alone_states = stack(x[row : row + 1, :length])
        torch.testing.assert_close(states[-1][0][row], alone_states[-1][0][0], rtol=0, atol=1e-12)
        torch.testing.assert_close(packed[row, :length], alone[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_bidirectional_rows_do_not_see_their_padding(cell, packed):
    encoder = Bidirectional(cell, 4, 6, layers=2, dropout=0.0)
    lengths = torch.tensor([5, 2, 7, 1])
    x = torch.randn(4, 9, 4)
    y, last = encoder(x, lengths, packed)
    for row, length in enumerate(lengths.tolist()):
        alone, alone_last = encoder(x[row : row + 1, :length], lengths[row : row + 1], packed)
        torch.testing.assert_close(y[row, :length], alone[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(last[row], alone_last[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("cell", "library"), [("elman", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_bidirectional_agrees_with_torch_nn(cell, library):
    encoder = Bidirectional(cell, 4, 6, layers=1, dropout=0.0)
    peer = library(4, 6, batch_first=True, bidirectional=True)
    for name, parameter in encoder.ahead[0].fused.named_parameters():
        getattr(peer, name).data.copy_(parameter)
    for name, parameter in encoder.back[0].fused.named_parameters():
        getattr(peer, f"{name}_reverse").data.copy_(parameter)
    x = torch.randn(2, 5, 4)
    y, _ = encoder(x, torch.tensor([5, 5]), False)
    torch.testing.assert_close(y, peer(x)[0], rtol=0, atol=1e-12)


def test_reversal_turns_each_row_within_its_length():
    order = reversal(torch.tensor([3, 1]), 4)
    assert order.tolist() == [[2, 1, 0, 3], [0, 1, 2, 3]]
    x = torch.arange(8).view(2, 4, 1)
    assert reorder(x, order).squeeze(-1).tolist() == [[2, 1, 0, 3], [4, 5, 6, 7]]
