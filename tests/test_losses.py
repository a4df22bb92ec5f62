"""Losses are sums: nothing but the tokens themselves counts."""

import math

import pytest
import torch
from torch import nn

from unroll.nn import losses
from unroll.nn.losses import cross_entropy, linear_cross_entropy, token_nats
from unroll.nn.precision import products_in


def test_a_uniform_model_costs_the_logarithm_of_its_vocabulary():
    loss = cross_entropy(torch.zeros(5, 7), torch.tensor([0, 1, 2, 3, 6]))
    assert loss.tokens == 5
    torch.testing.assert_close(loss.nats, torch.tensor(5 * math.log(7)))


def test_no_tokens_cost_nothing():
    loss = cross_entropy(torch.zeros(0, 7), torch.zeros(0, dtype=torch.long))
    assert (float(loss.nats), loss.tokens) == (0.0, 0)


def test_sums_add_up_over_any_partition():
    logits, targets = torch.randn(12, 5), torch.randint(5, (12,))
    whole = cross_entropy(logits, targets)
    parts = [cross_entropy(logits[a:b], targets[a:b]) for a, b in ((0, 1), (1, 7), (7, 12))]
    torch.testing.assert_close(sum(part.nats for part in parts), whole.nats)
    assert sum(part.tokens for part in parts) == whole.tokens


@pytest.mark.parametrize("smoothing", [0.1, 0.9])
def test_smoothing_adds_what_makes_the_target_partly_uniform(smoothing):
    torch.manual_seed(1)
    logits, targets = torch.randn(6, 5, dtype=torch.float64, requires_grad=True), torch.tensor([0, 4, 2, 2, 1, 0])
    loss = cross_entropy(logits, targets, smoothing)
    aims = torch.full((6, 5), smoothing / 5, dtype=torch.float64)
    aims[torch.arange(6), targets] += 1 - smoothing
    expected = -(aims * logits.log_softmax(-1)).sum()
    torch.testing.assert_close(loss.nats + loss.extra, expected)
    torch.testing.assert_close(loss.nats, cross_entropy(logits, targets).nats)
    gradients = [
        torch.autograd.grad(total, logits, retain_graph=True)[0] for total in (loss.nats + loss.extra, expected)
    ]
    torch.testing.assert_close(*gradients)


def test_token_nats_agree_with_the_loss_in_any_pieces(monkeypatch):
    torch.manual_seed(1)
    output, h, targets = nn.Linear(4, 9), torch.randn(10, 4), torch.randint(9, (10,))
    whole = token_nats(output, h, targets)
    assert whole.dtype == torch.float64
    torch.testing.assert_close(whole.sum().float(), cross_entropy(output(h), targets).nats)
    monkeypatch.setattr(losses, "ROWS", 3)
    torch.testing.assert_close(token_nats(output, h, targets), whole, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [4, 100])
def test_a_fused_output_layer_has_the_loss_and_the_gradient_of_its_two_parts(monkeypatch, chunk, smoothing):
    monkeypatch.setattr(losses, "CHUNK", chunk)
    torch.manual_seed(1)
    h, weight, bias = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((11, 4), (9, 4), (9,))
    )
    targets = torch.randint(9, (11,))
    fused = linear_cross_entropy(h, weight, bias, targets, smoothing)
    apart = cross_entropy(torch.nn.functional.linear(h, weight, bias), targets, smoothing)
    torch.testing.assert_close(fused.nats, apart.nats, rtol=1e-12, atol=0)
    torch.testing.assert_close(torch.as_tensor(fused.extra), torch.as_tensor(apart.extra), check_dtype=False)
    found, expected = (torch.autograd.grad((loss.nats + loss.extra) / 7, (h, weight, bias)) for loss in (fused, apart))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)
    with torch.no_grad():
        torch.testing.assert_close(linear_cross_entropy(h, weight, bias, targets, smoothing).nats, apart.nats)


@pytest.mark.parametrize("chunk", [2, 100])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_fused_output_layer_knows_the_cost_of_what_is_next_to_impossible(monkeypatch, precision, chunk):
    """Where a probability is no number any more its logarithm still is, and so are those beside it."""
    monkeypatch.setattr(losses, "CHUNK", chunk)
    h, weight, bias = torch.tensor([[1.0], [0.0], [1.0]]), torch.tensor([[300.0], [0.0], [-100.0]]), torch.zeros(3)
    h.requires_grad_()
    targets = torch.tensor([2, 1, 0])
    with products_in(precision, torch.device("cpu")):
        loss = linear_cross_entropy(h, weight, bias, targets)
    assert loss.nats.item() == pytest.approx(400 + math.log(3))
    (grad,) = torch.autograd.grad(loss.nats, h)
    rounded = {"float32": 1e-6, "bfloat16": 2**-7}[precision]
    torch.testing.assert_close(grad, torch.tensor([[400.0], [200 / 3], [0.0]]), rtol=rounded, atol=0)
    for row in range(3):
        with torch.no_grad(), products_in(precision, torch.device("cpu")):
            alone = linear_cross_entropy(h[row : row + 1], weight, bias, targets[row : row + 1]).nats.item()
        assert alone == pytest.approx([400, math.log(3), 0][row])
