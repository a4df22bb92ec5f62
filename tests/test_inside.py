"""What is seen inside a network, against the chain rule, finite differences and counts by hand."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from unroll.evaluation.inside import activity as activities
from unroll.evaluation.inside import reading
from unroll.evaluation.inside.activity import Saturation, activation, activity, gates, saturated
from unroll.evaluation.inside.gates import gate_figure
from unroll.evaluation.inside.gradients import by_lag, gradient_norms, gradients_by_lag
from unroll.evaluation.inside.lags import Lags, common_figure, read_lags, run_figure
from unroll.evaluation.inside.reading import Span, inputs_of, pieces, read_rows, span_batches, spans_before
from unroll.kinds.language_model.network import LanguageModel
from unroll.kinds.language_model.settings import LanguageModelSettings
from unroll.text.specials import EOS
from unroll.text.units.char import CharVocabulary

pytestmark = pytest.mark.usefixtures("doubles")

MODELS: dict[str, dict[str, Any]] = {
    "elman": {"cell": "elman"},
    "relu": {"cell": "elman", "activation": "relu"},
    "jordan": {"cell": "jordan", "output": 3},
    "lstm": {"cell": "lstm"},
    "peepholes": {"cell": "lstm", "peepholes": True, "projection": 3},
    "norm": {"cell": "lstm", "layer_norm": True},
    "gru": {"cell": "gru"},
    "deep": {"cell": "gru", "layers": 3, "residual_from": 2},
    "one-hot": {"cell": "lstm", "embedding": None, "layers": 2},
}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
SIZE = 8  # of the vocabulary, the specials included
TEXT = torch.tensor([[3, 4, 7, 5, 6, 4, 5, 7, 7, 3, 6, 4]])


def make_network(**model: Any) -> LanguageModel:
    settings = {"kind": "language_model", "embedding": 4, "hidden": 5, **model}
    network = LanguageModel(LanguageModelSettings(**settings), SIZE).eval()
    for parameter in network.parameters():  # no bias or peephole is left at a value that hides it
        parameter.data += 0.3 * torch.randn_like(parameter)
    return network


def watched(network: LanguageModel, context: str = "stream") -> Any:
    known = {"vocabulary": CharVocabulary("abcd"), "spelled": lambda *ids: None, "device": torch.device("cpu")}
    return SimpleNamespace(network=network, context=context, **known)


def zero(network: LanguageModel) -> Any:
    return tuple(layer.initial(torch.zeros(1, 1, 1)) for layer in network.layers)


def norms(network: LanguageModel, ids_1T: torch.Tensor, target: int, state: Any = None) -> list[float]:
    """The norms of one span, at lags 0, 1, ..."""
    targets = torch.full_like(ids_1T, target)
    length = torch.tensor([ids_1T.shape[1]])
    batch = reading.SpanBatch(ids_1T, targets, length, state or zero(network))
    return by_lag(gradient_norms(network, batch), length, ids_1T.shape[1])[0].tolist()


@each_model
def test_a_trace_agrees_with_the_network(model):
    network = make_network(**model)
    first = network(TEXT[:, :4])
    reading_after = network(TEXT[:, 4:], first.state)
    traces, read = network.trace(TEXT[:, 4:], first.state)
    torch.testing.assert_close(read, reading_after.read_BTD)
    for trace, last in zip(traces, reading_after.state, strict=True):
        assert len(trace.states) == 1 + TEXT.shape[1] - 4
        torch.testing.assert_close(trace.states[-1], last)


def test_the_gradient_of_one_tanh_unit_is_the_chain_rules():
    """d loss / d h_(t-k) = Σ_v (p_v - [v is the target]) w_v Π u (1 - h²) over the k steps after t - k."""
    network = make_network(cell="elman", embedding=1, hidden=1)
    _, u, b, c = (parameter.item() if parameter.numel() == 1 else 0 for parameter in network.layers[0].cell.weights())
    w = network.layers[0].cell.weights()[0].item()
    x = network.embed(TEXT)[0, :, 0].tolist()
    h, states = 0.0, []
    for value in x:
        h = math.tanh(w * value + b + u * h + c)
        states.append(h)
    p = torch.softmax(network.output.weight[:, 0] * h + network.output.bias, dim=0)
    p[5] -= 1
    gradient = float((p @ network.output.weight[:, 0]).detach())
    expected = []
    for h in reversed(states):
        expected.append(abs(gradient))
        gradient *= u * (1 - h * h)
    assert norms(network, TEXT, target=5) == pytest.approx(expected, rel=1e-10)


def test_the_gradient_of_a_linear_network_is_a_power_of_its_weights():
    """A relu network that stays positive is linear: the gradient k steps before is (Uᵀ)^k times the one at the end."""
    network = make_network(cell="elman", activation="relu", hidden=3)
    for parameter in network.recurrent.parameters():
        parameter.data.abs_()
    network.embedding.weight.data.abs_()
    u = network.layers[0].cell.weights()[1].detach()
    last = network(TEXT).read_BTD[:, -1].detach().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(network.output(last), torch.tensor([6])), last)
    powers = [torch.linalg.matrix_power(u.T, k) @ gradient[0] for k in range(TEXT.shape[1])]
    assert norms(network, TEXT, target=6) == pytest.approx([float(power.norm()) for power in powers], rel=1e-10)


@each_model
def test_gradients_agree_with_finite_differences(model):
    """Move each unit of the top layer's h at a step, leave all else, and read on."""
    network, k, step = make_network(**model), 3, 1e-6
    cut = TEXT.shape[1] - k
    before = network(TEXT[:, :cut]).state
    *below, (h, *rest) = before

    def loss(moved: torch.Tensor) -> float:
        state = (*below, (moved, *rest))
        read = network(TEXT[:, cut:], state).read_BTD[:, -1]
        return F.cross_entropy(network.output(read), torch.tensor([4])).item()

    slopes = [
        (loss(h + step * unit) - loss(h - step * unit)) / (2 * step) for unit in torch.eye(h.shape[1]).unsqueeze(1)
    ]
    assert norms(network, TEXT, target=4)[k] == pytest.approx(math.hypot(*slopes), rel=1e-5)


def test_rows_are_read_as_the_model_reads_them():
    texts = ["ab", "", "cd"]
    assert [row.tolist() for row in read_rows(watched(None), texts, 6)] == [[4, 5, EOS, EOS, 6, 7]]
    apart = read_rows(watched(None, "text"), texts, 6)
    assert [row.tolist() for row in apart] == [[4, 5, EOS], [EOS], [6, 7]]
    assert inputs_of(apart[0]).tolist() == [EOS, 4, 5]
    assert pieces(apart, 2) == [Span(0, 0, 2), Span(0, 2, 3), Span(1, 0, 1), Span(2, 0, 2)]


def test_places_are_spread_evenly_and_none_twice():
    rows = [np.zeros(6, dtype=np.int64), np.zeros(2, dtype=np.int64)]
    assert spans_before(rows, 4, 3) == [Span(0, 0, 2), Span(0, 1, 4), Span(0, 3, 6), Span(1, 0, 2)]
    assert [(span.row, span.end) for span in spans_before(rows, 99, 3)] == [(0, n + 1) for n in range(6)] + [
        (1, 1),
        (1, 2),
    ]


@pytest.mark.parametrize("context", ["stream", "text"])
@each_model
def test_spans_side_by_side_or_alone_are_the_same(model, context, monkeypatch):
    watching = watched(make_network(**model), context)
    rows = read_rows(watching, ["abcabcd", "d", "", "ccba" * 5], 1000)
    together = gradients_by_lag(watching, rows, 6), activity(watching, rows)
    monkeypatch.setattr(reading, "SIDE_BY_SIDE", 1)
    monkeypatch.setattr(activities, "PIECE", 4)
    alone = gradients_by_lag(watching, rows, 6), activity(watching, rows)
    np.testing.assert_allclose(together[0].mean, alone[0].mean, rtol=1e-9)
    np.testing.assert_allclose(together[1].activations_NH, alone[1].activations_NH, rtol=1e-6, atol=1e-9)
    for one, other in zip(together[1].saturations, alone[1].saturations, strict=True):
        np.testing.assert_allclose([one.left_H, one.right_H], [other.left_H, other.right_H])


def test_the_state_is_carried_on_to_a_span():
    watching = watched(make_network(cell="lstm"))
    row = np.array([4, 5, 6, 7, 7, 5])
    (batch,) = span_batches(watching, [row], [Span(0, 0, 2), Span(0, 3, 6)])
    assert batch.inputs_BT.tolist() == [[EOS, 4, 0], [6, 7, 7]]
    assert batch.targets_BT.tolist() == [[4, 5, 0], [7, 7, 5]]
    state = watching.network(torch.tensor([[EOS, 4, 5]])).state
    torch.testing.assert_close([part[1:] for part in batch.state[0]], list(state[0]))
    assert not batch.state[0][0][0].any()


def test_a_lag_that_leads_out_of_the_text_does_not_count():
    watching = watched(make_network(cell="elman"), "text")
    rows = read_rows(watching, ["ab", "abcd"], 100)
    lags = gradients_by_lag(watching, rows, 50)
    assert len(lags.mean) == 5
    target = rows[1][-1]
    expected = norms(watching.network, torch.from_numpy(inputs_of(rows[1])).unsqueeze(0), target)[4]
    assert lags.mean[4] == pytest.approx(expected)


def test_lags_by_hand(tmp_path):
    lags = Lags.of(np.array([[4.0, 1.0, 0.3], [2.0, 3.0, np.nan], [6.0, 2.0, np.nan]]))
    assert lags.mean.tolist() == [4, 2, 0.3]
    assert lags.low.tolist() == pytest.approx([2.4, 1.2, 0.3])
    assert [lags.first_below(share) for share in (0.6, 0.1, 0.01)] == [1, 2, None]
    (tmp_path / "gradients.csv").write_text(lags.to_csv())
    assert lags.to_csv().startswith("lag,low,high,mean\n0,2.4,5.6,4\n")
    for name in ("mean", "low", "high"):
        assert getattr(read_lags(tmp_path / "gradients.csv"), name).tolist() == pytest.approx(getattr(lags, name))


def test_saturation_by_hand():
    gate_NH = np.array([[0.05, 0.95, 0.5], [0.099, 0.05, 0.1], [0.2, 0.91, 0.9]])
    assert saturated(gate_NH).tolist() == [[2, 1, 0], [0, 2, 0]]


@pytest.mark.parametrize(
    ("model", "bias", "expected"),
    [
        # Of four units each, the biases of torch's gates: i, f, g, o of an LSTM; r, z, n of a GRU.
        ("lstm", [9, 0, 0, -9], {"forget": (0, 0), "input": (0, 1), "output": (1, 0)}),
        ("gru", [-9, 9, 0], {"reset": (1, 0), "update": (0, 1)}),
        ("elman", [9], {}),
    ],
)
def test_gates_are_the_ones_they_are_called(model, bias, expected):
    network = make_network(cell=model, hidden=4)
    for parameter in network.recurrent.parameters():
        parameter.data.zero_()
    network.layers[0].cell.weights()[2].data.copy_(torch.tensor(bias).repeat_interleave(4))
    found = activity(watched(network), [np.array([4, 5, 6])]).saturations
    assert {each.gate: (each.left_H.mean(), each.right_H.mean()) for each in found} == expected


@pytest.mark.parametrize("model", ["lstm", "peepholes", "norm", "gru"])
def test_gates_and_activations_are_those_of_each_tick(model):
    network = make_network(**MODELS[model])
    cell = network.layers[0].cell
    (trace,), _ = network.trace(TEXT, zero(network))
    for t, a_BG in enumerate(cell.inputs(trace.x_BTI).unbind(1)):
        ticked = cell.gates(a_BG, trace.states[t], cell.weights()[1])
        order = {"forget": 1, "input": 0, "output": 3, "reset": 0, "update": 1}
        for name, gate_BTH in gates(cell, trace).items():
            torch.testing.assert_close(gate_BTH[:, t], ticked[order[name]])
    if model == "lstm":
        torch.testing.assert_close(activation(cell, trace)[:, -1], torch.tanh(trace.states[-1][1]))


@pytest.mark.parametrize("mean", [[1.0, 0.1, 0.001], [1.0], [1.0, 0.0, 1e-30]])
def test_gradients_are_drawn_the_same_each_time(mean):
    lags = Lags(*(np.array(mean) * share for share in (1, 0.5, 2)))
    assert run_figure(lags, "char") == run_figure(lags, "char")
    runs = {f"run{n}": ("char", lags) for n in range(9)}
    assert common_figure(runs) == common_figure(runs) != common_figure({"run0": ("char", lags)})


def test_gates_are_drawn_by_layer():
    shares = np.array([0.0, 0.5, 1.0])
    one = [Saturation("reset", 1, shares, 1 - shares)]
    two = [*one, Saturation("reset", 2, shares, 0 * shares)]
    assert gate_figure(one) == gate_figure(one) != gate_figure(two)
