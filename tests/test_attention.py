"""Attention against hand-computed values, and its masks."""

import math

import pytest
import torch

from unroll.kinds.seq2seq.additive import additive_scores
from unroll.kinds.seq2seq.attention import Attention, Source

pytestmark = pytest.mark.usefixtures("doubles")


def look(attention, query, memory, mask):
    source = Source(torch.zeros(mask.shape, dtype=torch.long), memory, mask)
    found = attention(query, source, attention.project(source), attention.start(source))
    return found.context_BTM, found.weights_BTS


SCORES = ["additive", "dot", "general"]


def test_dot_by_hand():
    memory = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]])
    query = torch.tensor([[[1.0, 1.0]]])
    mask = torch.tensor([[True, True, False]])
    attention = Attention("dot", 2, 2)
    context, weights = look(attention, query, memory, mask)
    first = math.exp(1) / (math.exp(1) + math.exp(2))
    torch.testing.assert_close(weights, torch.tensor([[[first, 1 - first, 0.0]]]))
    torch.testing.assert_close(context, torch.tensor([[[first, 2 * (1 - first)]]]))


def test_general_by_hand():
    attention = Attention("general", 1, 2)
    with torch.no_grad():
        attention.words.keys.weight.copy_(torch.tensor([[2.0, -1.0]]))
    memory = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    _, weights = look(attention, torch.tensor([[[0.5]]]), memory, torch.ones(1, 2).bool())
    torch.testing.assert_close(weights[0, 0], torch.tensor([0.5 * 2, 0.5 * -1]).softmax(-1))


def test_additive_by_hand():
    attention = Attention("additive", 1, 1)
    with torch.no_grad():
        for parameter, value in (
            (attention.words.keys.weight, 0.5),
            (attention.words.query.weight, 2.0),
            (attention.words.query.bias, -1.0),
            (attention.words.energy, 3.0),
        ):
            parameter.fill_(value)
    memory = torch.tensor([[[1.0], [-2.0]]])
    _, weights = look(attention, torch.tensor([[[0.25]]]), memory, torch.ones(1, 2).bool())
    energies = [3 * math.tanh(2 * 0.25 - 1 + 0.5 * m) for m in (1, -2)]
    torch.testing.assert_close(weights[0, 0], torch.tensor(energies).softmax(-1))


@pytest.mark.parametrize("score", SCORES)
def test_padding_gets_exactly_zero_and_changes_nothing(score):
    attention = Attention(score, 4, 4)
    memory, query = torch.randn(2, 6, 4), torch.randn(2, 3, 4)
    mask = torch.arange(6) < torch.tensor([[6], [2]])
    context, weights = look(attention, query, memory, mask)
    assert (weights[1, :, 2:] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3))
    noisy = memory.masked_fill(~mask.unsqueeze(-1), 1e6)
    assert torch.equal(look(attention, query, noisy, mask)[0], context)
    alone, _ = look(attention, query[1:], memory[1:, :2], mask[1:, :2])
    torch.testing.assert_close(alone[0], context[1])


def test_dot_refuses_sizes_that_do_not_match():
    with pytest.raises(ValueError, match="dot attention needs"):
        Attention("dot", 3, 4)


def test_additive_scores_and_gradients_are_those_of_the_formula():
    query, keys, v = (torch.randn(*shape, requires_grad=True) for shape in ((2, 3, 5), (2, 4, 5), (5,)))
    scores = additive_scores(query, keys, v)
    formula = torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ v
    torch.testing.assert_close(scores, formula, rtol=1e-12, atol=1e-12)
    with torch.inference_mode():
        torch.testing.assert_close(additive_scores(query, keys, v), formula, rtol=1e-12, atol=1e-12)
    incoming = torch.randn(2, 3, 4)
    found = torch.autograd.grad(scores, (query, keys, v), incoming)
    expected = torch.autograd.grad(formula, (query, keys, v), incoming)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
    assert torch.autograd.gradcheck(additive_scores, (query, keys, v))
