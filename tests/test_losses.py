"""Losses are sums: nothing but the tokens themselves counts."""

import math

import torch
from torch import nn

from unroll.nn import losses
from unroll.nn.losses import cross_entropy, token_nats


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


def test_token_nats_agree_with_the_loss_in_any_pieces(monkeypatch):
    torch.manual_seed(1)
    output, h, targets = nn.Linear(4, 9), torch.randn(10, 4), torch.randint(9, (10,))
    whole = token_nats(output, h, targets)
    assert whole.dtype == torch.float64
    torch.testing.assert_close(whole.sum().float(), cross_entropy(output(h), targets).nats)
    monkeypatch.setattr(losses, "ROWS", 3)
    torch.testing.assert_close(token_nats(output, h, targets), whole, rtol=1e-6, atol=1e-6)
