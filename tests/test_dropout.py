"""What dropout drops, and that it drops nothing outside training."""

import pytest
import torch
from torch import nn

from unroll.nn.cells import make_cell
from unroll.nn.dropout import SequenceDropout, drop_recurrent, drop_rows, drop_units
from unroll.nn.recurrent import Layer
from unroll.nn.settings import CellSettings, DropoutSettings


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1)


@pytest.mark.parametrize("variational", [False, True])
def test_units_keep_their_mean(variational):
    settings = DropoutSettings(variational=variational)
    kept = drop_units(torch.ones(50, 20, 30), 0.25, settings, training=True)
    torch.testing.assert_close(kept.unique(), torch.tensor([0, 4 / 3]))
    assert kept.mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
def test_each_unit_is_dropped_alone_and_by_the_share(share):
    """Units are decided on by fours: each of the four has the share, and knows nothing of the others."""
    units = 400_000
    gone_4N = (drop_units(torch.ones(units), share, DropoutSettings(), training=True) == 0).view(-1, 4).T.double()
    deviation = (share * (1 - share) / (units / 4)) ** 0.5
    assert gone_4N.mean(1).tolist() == pytest.approx([share] * 4, abs=4 * deviation)
    for other in range(1, 4):
        both = (gone_4N[0] * gone_4N[other]).mean().item()
        assert both == pytest.approx(share**2, abs=4 * (share**2 * (1 - share**2) / (units / 4)) ** 0.5)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 5), (0, 4)])
@pytest.mark.parametrize("share", [1e-9, 0.5, 1 - 1e-9])
def test_any_shape_and_share_leaves_finite_units(shape, share):
    kept = drop_units(torch.ones(shape), share, DropoutSettings(), training=True)
    assert kept.shape == shape and kept.isfinite().all()
    assert share > 1e-9 or (kept == 1).all()


def test_the_gradient_goes_where_units_are_kept():
    x = torch.randn(50, 30, requires_grad=True)
    y = drop_units(x, 0.4, DropoutSettings(), training=True)
    (grad,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(grad * x, y)
    assert sorted(grad.unique().tolist()) == pytest.approx([0, 1 / 0.6], rel=1e-4)


def test_variational_dropout_drops_the_same_units_at_all_steps_of_a_row():
    kept = drop_units(torch.ones(50, 20, 30), 0.5, DropoutSettings(variational=True), training=True)
    assert (kept == kept[:, :1]).all()
    assert not (kept == kept[:1]).all()


def test_whole_words_go_wherever_they_stand():
    embedding = nn.Embedding(40, 8)
    ids = torch.arange(40).repeat(3, 2)
    vectors = SequenceDropout(DropoutSettings(words=0.5), True).embed(embedding, ids)
    gone = (vectors == 0).all(-1)
    assert 5 < gone[0, :40].sum() < 35
    assert (gone == gone[0, :40].repeat(3, 2)).all()
    torch.testing.assert_close(vectors[~gone], 2 * embedding(ids)[~gone])


def test_recurrent_weights_or_all_that_a_unit_sends():
    u = torch.ones(12, 10)
    weights = drop_recurrent(u, DropoutSettings(recurrent=0.5), training=True)
    units = drop_recurrent(u, DropoutSettings(recurrent=0.5, recurrent_drops="units"), training=True)
    assert (units == units[:1]).all()
    assert not (weights == weights[:1]).all()
    assert set(weights.unique().tolist()) == set(units.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("lengths", [None, torch.tensor([3, 6])])
@pytest.mark.parametrize("drops", ["weights", "units"])
@pytest.mark.parametrize("cell", ["elman", "jordan", "lstm", "gru"])
def test_one_draw_holds_for_the_whole_sequence(cell, drops, lengths):
    """The layer with dropped recurrent weights is the layer whose weights those are."""
    settings = DropoutSettings(recurrent=0.5, recurrent_drops=drops)
    layer = Layer(make_cell(CellSettings(cell=cell), 4, 5), settings).double()
    x = torch.randn(2, 6, 4, dtype=torch.float64)
    torch.manual_seed(7)
    dropped, _ = layer(x, None, lengths)
    torch.manual_seed(7)
    u = layer.cell.weights()[1]
    u_dropped = drop_recurrent(u, settings, training=True)
    gradient = torch.autograd.grad(dropped.sum(), u)[0]
    assert not gradient[u_dropped == 0].any()
    assert gradient[u_dropped != 0].any()
    layer.eval()
    with torch.no_grad():
        whole, _ = layer(x, None, lengths)
        u.copy_(u_dropped)
        expected, _ = layer(x, None, lengths)
    torch.testing.assert_close(dropped, expected)
    assert not torch.allclose(whole, expected)


def test_nothing_is_dropped_outside_training():
    settings = DropoutSettings(words=0.5, recurrent=0.5, variational=True)
    x, u, embedding = torch.randn(2, 3, 4), torch.randn(4, 4), nn.Embedding(5, 4)
    ids = torch.arange(5).unsqueeze(0)
    assert drop_units(x, 0.5, settings, training=False) is x
    assert drop_recurrent(u, settings, training=False) is u
    assert torch.equal(SequenceDropout(DropoutSettings(words=0.5), False).embed(embedding, ids), embedding(ids))


def test_dropped_rows_are_whole():
    x_ND = torch.ones(2000, 3)
    dropped = drop_rows(x_ND, 0.25, training=True)
    assert dropped.unique().tolist() == [0, pytest.approx(4 / 3)]
    assert (dropped == dropped[:, :1]).all()
    assert drop_rows(x_ND, 0.25, training=False) is x_ND
