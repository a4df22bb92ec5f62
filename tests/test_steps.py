"""The gradients written by hand, against autograd over ticks, torch.nn and finite differences."""

from typing import Any

import pytest
import torch

from unroll.nn.activations import ACTIVATIONS, SLOPES
from unroll.nn.cells import make_cell
from unroll.nn.recurrent import Layer
from unroll.nn.settings import CellSettings, DropoutSettings
from unroll.nn.steps import elman_steps, gru_steps, jordan_steps

pytestmark = pytest.mark.usefixtures("doubles")

ELMAN = [{"cell": "elman", "activation": name} for name in SLOPES if name != "linear"]
JORDAN = [{"cell": "jordan", "output_activation": name, "output": 4} for name in SLOPES]
STEPPED = [*ELMAN, *JORDAN, {"cell": "jordan", "activation": "sigmoid", "output_activation": "relu"}, {"cell": "gru"}]
LENGTHS = {"whole": None, "each its own": [3, 6, 1, 5]}


def make_layer(dropout: DropoutSettings, **cell: Any) -> Layer:
    output = cell.pop("output", None)
    layer = Layer(make_cell(CellSettings(**cell), 3, 5, output), dropout)
    for parameter in layer.parameters():  # no bias is left at a value that hides it
        parameter.data += 0.1 * torch.randn_like(parameter)
    return layer


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_are_derivatives_told_by_the_result(name):
    z = torch.linspace(-8, 8, 81).requires_grad_()
    h = ACTIVATIONS[name](z)
    (derivative,) = torch.autograd.grad(h.sum(), z)
    torch.testing.assert_close(SLOPES[name](h), derivative, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", STEPPED, ids=lambda cell: "-".join(map(str, cell.values())))
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_every_way_gives_the_same(cell, lengths):
    """Outputs, last state, and the gradients of both by input, first state and every weight."""
    layer = make_layer(DropoutSettings(), **cell)
    x = torch.randn(4, 6, 3, requires_grad=True)
    state = tuple(torch.randn(4, width, requires_grad=True) for width in layer.cell.widths())
    given = [x, *state, *layer.parameters()]
    lengths_B = None if lengths is None else torch.tensor(lengths)
    found = {}
    for way in ("ticks", "steps", *(["library"] if layer.cell.library is not None else [])):
        y, last = layer.run(way, x, state, lengths_B)
        weighed = (y * torch.arange(y.numel()).view_as(y).sin()).sum()
        weighed = weighed + (last[0] * torch.arange(last[0].numel()).view_as(last[0]).cos()).sum()
        found[way] = [y, *last, *torch.autograd.grad(weighed, given)]
    for way, values in found.items():
        for value, expected in zip(values, found["ticks"], strict=True):
            torch.testing.assert_close(value, expected, rtol=0, atol=1e-10, msg=way)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_finite_differences(masked):
    T, B, H, out = 4, 3, 2, 3
    real = torch.tensor([4, 2, 3]) > torch.arange(T).unsqueeze(1) if masked else None
    real = None if real is None else real.unsqueeze(-1)

    def random(*shape):
        return torch.randn(*shape, requires_grad=True)

    assert torch.autograd.gradcheck(
        lambda *given: elman_steps(*given, "tanh", real), (random(T, B, H), random(B, H), random(H, H))
    )
    assert torch.autograd.gradcheck(
        lambda *given: jordan_steps(*given, ("tanh", "sigmoid"), real),
        (random(T, B, H), random(B, out), random(H, out), random(out, H), random(out)),
    )
    assert torch.autograd.gradcheck(
        lambda *given: gru_steps(*given, real),
        (random(T, B, 3 * H), random(B, H), random(3 * H, H), random(3 * H), random(3 * H)),
    )


@pytest.mark.parametrize("cell", ["elman", "jordan", "gru"])
def test_a_row_that_has_ended_keeps_its_state_to_the_bit(cell):
    layer = make_layer(DropoutSettings(), cell=cell)
    x, lengths = torch.randn(2, 7, 3), torch.tensor([7, 4])
    y, (last,) = layer(x, None, lengths)
    assert torch.equal(last[1], y[1, 3])
    assert not y[1, 4:].any()


@pytest.mark.parametrize("cell", [{"cell": "gru"}, {"cell": "elman"}, {"cell": "jordan"}])
def test_dropped_recurrent_weights_are_those_of_the_ticks(cell):
    layer = make_layer(DropoutSettings(recurrent=0.5), **cell)
    x = torch.randn(2, 5, 3)
    torch.manual_seed(3)
    y, _ = layer(x)
    torch.manual_seed(3)
    layer.way = lambda x: "ticks"
    y_ticks, _ = layer(x)
    torch.testing.assert_close(y, y_ticks, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("cell", "way"),
    [
        ({"cell": "lstm"}, "library"),
        ({"cell": "gru"}, "steps"),
        ({"cell": "elman", "activation": "relu"}, "steps"),
        ({"cell": "jordan"}, "steps"),
        ({"cell": "elman", "activation": "crelu"}, "ticks"),
        ({"cell": "jordan", "output_activation": "crelu"}, "ticks"),
        ({"cell": "gru", "layer_norm": True}, "ticks"),
        ({"cell": "lstm", "peepholes": True}, "ticks"),
    ],
    ids=str,
)
def test_the_way_on_a_cpu(cell, way):
    settings = {"activation": "tanh", **cell}
    hidden = Layer(make_cell(CellSettings(**settings), 3, 4), DropoutSettings())
    assert hidden.way(torch.zeros(1, 1, 3)) == way


@pytest.mark.parametrize("cell", [{"cell": "lstm"}, {"cell": "gru"}, {"cell": "elman"}, {"cell": "jordan"}], ids=str)
def test_a_single_step_without_gradient_is_a_tick(cell):
    layer = make_layer(DropoutSettings(), **cell)
    x = torch.randn(4, 1, 3)
    state = tuple(torch.randn(4, width) for width in layer.cell.widths())
    expected, last = layer(x, state)
    with torch.inference_mode():
        assert layer.way(x) == "ticks" != layer.way(x.expand(-1, 2, -1))
        found, found_last = layer(x, state)
    torch.testing.assert_close((found, *found_last), (expected, *last), rtol=0, atol=1e-12)
