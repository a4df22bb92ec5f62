"""Output layers of language models, against the softmax over all tokens by brute force."""

import itertools
import math

import numpy as np
import pytest
import torch
from builders import text_dataset, trained
from torch import nn
from torch.nn import functional as F

from unroll.errors import UserError
from unroll.evaluation.evaluate import evaluate_run
from unroll.evaluation.language_model import measure
from unroll.files import read_json
from unroll.kinds import load_model
from unroll.kinds.combination.mixture import MixedLanguageModel
from unroll.kinds.generation import Sampling
from unroll.kinds.language_model.output import AdaptiveSoftmax, Softmax, log_drawn, log_uniform, sampled_cross_entropy
from unroll.params import LanguageModelRun
from unroll.text.specials import EOS
from unroll.training import loop

SIZE, WIDTH, CUTOFFS = 30, 20, [6, 14]
CPU = torch.device("cpu")


def reading(rows=40):
    """What is read, as float64, and targets in every cluster."""
    torch.manual_seed(1)
    return torch.randn(rows, WIDTH, dtype=torch.float64, requires_grad=True), torch.arange(rows) * 7 % SIZE


def adaptive() -> AdaptiveSoftmax:
    layer = AdaptiveSoftmax(WIDTH, SIZE, CUTOFFS).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layer


def softmax(size=SIZE) -> Softmax:
    layer = Softmax(WIDTH, size).double()
    nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize("layer", [softmax, adaptive])
def test_probabilities_sum_to_one_and_loss_and_scores_are_theirs(layer):
    read, targets = reading()
    layer = layer()
    logp = layer.log_probabilities(read)
    torch.testing.assert_close(logp.exp().sum(-1), torch.ones(len(read), dtype=torch.float64))
    torch.testing.assert_close(layer(read).log_softmax(-1), logp)
    torch.testing.assert_close(layer.log_probabilities(read.view(5, 8, -1)), logp.view(5, 8, -1))
    nats = -logp.gather(1, targets.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(layer.token_nats(read, targets), nats)
    loss = layer.loss(read, targets)
    assert loss.tokens == len(targets)
    torch.testing.assert_close(loss.nats, nats.sum())
    given = [read, *layer.parameters()]
    found, expected = (torch.autograd.grad(total / 7, given) for total in (loss.nats, nats.sum()))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


def test_the_adaptive_softmax_is_that_of_torch():
    read, targets = reading()
    ours = adaptive()
    theirs = nn.AdaptiveLogSoftmaxWithLoss(WIDTH, SIZE, CUTOFFS, div_value=4.0, head_bias=True).double()
    shapes = [[tuple(p.shape) for p in tail.parameters()] for tail in theirs.tail]
    assert [[tuple(p.shape) for p in tail.parameters()][:2] for tail in ours.tails] == shapes
    with torch.no_grad():
        for _, scores in ours._tails():
            scores.bias.zero_()  # which they do not have
        theirs.head.load_state_dict(ours.head.state_dict())
        for tail, mine in zip(theirs.tail, ours.tails, strict=True):
            tail.load_state_dict({name: p for name, p in mine.state_dict().items() if name != "1.bias"})
    torch.testing.assert_close(ours.log_probabilities(read), theirs.log_prob(read), rtol=1e-12, atol=1e-12)
    found, expected = ours.loss(read, targets), theirs(read, targets)
    torch.testing.assert_close(found.nats / found.tokens, expected.loss, rtol=1e-12, atol=0)


def test_the_gradient_of_the_adaptive_loss_is_that_of_finite_differences():
    read, targets = reading(7)
    layer = adaptive()
    names = [name for name, _ in layer.named_parameters()]

    def nats(read, *parameters):
        logits = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (read,))
        return -logits.gather(1, targets.unsqueeze(1)).sum()

    assert torch.autograd.gradcheck(nats, (read, *layer.parameters()))


def test_a_cluster_without_targets_has_a_gradient_of_zero():
    read, _ = reading(5)
    layer = adaptive()
    layer.loss(read, torch.tensor([0, 5, 6, 13, 2])).nats.backward()
    assert all(p.grad is not None for p in layer.parameters())
    assert not layer.tails[1][1].weight.grad.any() and not layer.tails[1][0].weight.grad.any()
    assert layer.tails[0][1].weight.grad.any()


def test_draws_are_log_uniform():
    """How often an id is among the drawn is what its score is corrected by."""
    torch.manual_seed(1)
    size, draws, times = 50, 8, 4000
    counts = torch.zeros(size)
    for _ in range(times):
        ids = log_uniform(draws, size)
        assert len(ids.unique()) == len(ids) and ids.min() >= 0 and ids.max() < size
        counts[ids] += 1
    p = log_drawn(torch.arange(size), draws, size).exp()
    q = torch.tensor([math.log((n + 2) / (n + 1)) / math.log(size + 1) for n in range(size)], dtype=torch.float64)
    assert float(q.sum()) == pytest.approx(1)
    torch.testing.assert_close(p, 1 - (1 - q) ** draws)
    deviation = (p * (1 - p) / times).sqrt()
    assert ((counts / times - p).abs() < 4.5 * deviation).all()


def test_the_sampled_loss_by_hand(monkeypatch):
    """Among the drawn tokens and the target, each score less the logarithm of how likely it is to be drawn."""
    read, targets = reading(12)
    layer, drawn = softmax(), torch.tensor([0, 2, 3, 7, 14, 21])
    monkeypatch.setattr("unroll.kinds.language_model.output.log_uniform", lambda draws, size: drawn)
    assert set(targets.tolist()) & set(drawn.tolist())
    expected = 0.0
    for h, target in zip(read, targets.tolist(), strict=True):
        rivals = torch.tensor([target, *(n for n in drawn.tolist() if n != target)])
        scores = (layer(h) - log_drawn(torch.arange(SIZE), 9, SIZE))[rivals]
        expected = expected - scores.log_softmax(0)[0]
    loss = sampled_cross_entropy(read, layer.weight, layer.bias, targets, 9)
    torch.testing.assert_close(loss.nats, expected)
    given = read, layer.weight, layer.bias
    found, by_hand = (torch.autograd.grad(total, given) for total in (loss.nats, expected))
    torch.testing.assert_close(found, by_hand)
    assert torch.autograd.gradcheck(lambda *given: sampled_cross_entropy(*given, targets, 9).nats, given)


def test_with_more_draws_the_sampled_loss_and_its_gradient_become_those_of_all_tokens():
    read, targets = reading()
    layer = softmax()
    full = layer.loss(read, targets).nats
    (slope,) = torch.autograd.grad(full, layer.weight)
    off = []
    for draws, times in ((5, 400), (50, 100), (1000, 10), (1_000_000, 1)):
        losses = torch.stack([layer.loss(read, targets, draws=draws).nats for _ in range(times)])
        (found,) = torch.autograd.grad(losses.mean(), layer.weight)
        off.append((float((losses.mean() - full).detach().abs() / full.detach()), float((found - slope).norm())))
    assert off == sorted(off, reverse=True)
    assert off[0][0] > 0.1 and off[-1] < (1e-9, 1e-7)


def test_the_best_scores_of_the_sampled_loss_are_those_of_the_softmax():
    """Over all draws and targets, brought to their expectation by enumeration: no gradient at scores = log p."""
    size, draws = 5, 4
    p = torch.tensor([0.4, 0.25, 0.2, 0.1, 0.05], dtype=torch.float64)
    q = torch.tensor([math.log((n + 2) / (n + 1)) / math.log(size + 1) for n in range(size)], dtype=torch.float64)
    scores = p.log().requires_grad_()
    corrected = scores - log_drawn(torch.arange(size), draws, size)
    expectation, uncorrected = 0.0, 0.0
    for drawn in itertools.product(range(size), repeat=draws):
        for target in range(size):
            rivals = torch.tensor([target, *(n for n in sorted(set(drawn)) if n != target)])
            weight = q[list(drawn)].prod() * p[target]
            expectation = expectation - weight * corrected[rivals].log_softmax(0)[0]
            uncorrected = uncorrected - weight * scores[rivals].log_softmax(0)[0]
    (slope,) = torch.autograd.grad(expectation, scores)
    (other,) = torch.autograd.grad(uncorrected, scores)
    assert slope.abs().max() < 0.01 < 0.05 < other.abs().max()


def run(model=None, **train) -> LanguageModelRun:
    return LanguageModelRun.model_validate(
        {
            "dataset": "tiny",
            "init": "scratch",
            "model": {"kind": "language_model", "cell": "gru", "embedding": 12, "hidden": 16, **(model or {})},
            "train": {"context": "text", "batch_size": 8, "lr": 0.02, "steps": 30, "validate_every": 15, **train},
            "evaluate": {"samples": 2, "sample_tokens": 10},
            "seed": 1,
        }
    )


NOUNS = ["cat", "dog", "bird", "mouse", "horse", "cow", "fish", "hen", "fox", "ant"]
TEXTS = [f"the {a} {verb} the {b} ." for verb in ("sees", "hears", "eats") for a in NOUNS for b in NOUNS if a != b]
SPELLED = {"spelling": {"embedding": 6, "hidden": 10}}
LAYERS = {
    "adaptive": ("word", {"adaptive_softmax": [6, 12]}, {}),
    "sampled": ("word", {"tied": True}, {"sampled_softmax": 12}),
    "sampled stream": ("word", {}, {"sampled_softmax": 12, "context": "stream", "bptt": 9}),
    "adaptive hybrid": ("hybrid", {"adaptive_softmax": [5, 8], **SPELLED}, {}),
    "sampled hybrid": ("hybrid", SPELLED, {"sampled_softmax": 6}),
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    units = {"word": {"unit": "word"}, "hybrid": {"unit": "hybrid", "max_words": 8}}
    return {name: text_dataset(tmp_path_factory.mktemp(name), TEXTS, unit) for name, unit in units.items()}


@pytest.mark.parametrize("name", LAYERS)
def test_a_trained_model_reports_the_exact_perplexity(datasets, tmp_path, name):
    """Of validation and of the finished model, against probabilities of all tokens, one token after the other."""
    unit, model, train = LAYERS[name]
    data = datasets[unit]
    trained(tmp_path, "run", run(model, **train), data)
    info, finished = (
        read_json(tmp_path / "models" / "run" / "bundle.json"),
        load_model(tmp_path / "models" / "run", CPU),
    )
    texts = data.raw_texts("test", "text")
    if unit == "word":
        nats, state = [], None
        for text in texts:
            last, state = EOS, state if train.get("context") == "stream" else finished.begin(1)
            state = finished.begin(1) if state is None else state
            for token in [*finished.vocabulary.encode(text).tolist(), EOS]:
                logp_1V, state = finished.advance(torch.tensor([last]), state)
                assert float(logp_1V.exp().sum()) == pytest.approx(1, abs=1e-5)
                nats.append(-float(logp_1V[0, token]))
                last = token
        scores = finished.score(texts)
        assert sum(score.nats for score in scores) == pytest.approx(sum(nats), rel=1e-5)
        assert measure(finished, texts)[0]["perplexity"] == pytest.approx(math.exp(np.mean(nats)), rel=1e-5)
    if train.get("context") != "stream":  # validated in parallel parts, which begin anew
        scores = finished.score(texts)
        mean = sum(score.nats for score in scores) / sum(score.tokens for score in scores)
        assert info["best"]["valid_loss"] == pytest.approx(mean, rel=1e-5)
    assert info["best"]["valid_loss"] < 0.9 * math.log(len(finished.vocabulary))  # it has learned
    (tmp_path / "results").mkdir()
    evaluate_run(
        finished, data, run(model, **train).evaluate, [tmp_path / "models" / "run"],
        tmp_path / "run" / "history.csv", tmp_path / "results", tmp_path / "predictions",
    )  # fmt: skip
    assert (tmp_path / "results" / "samples.md").is_file()


def test_a_combination_takes_either(datasets, tmp_path):
    for name in ("adaptive", "sampled"):
        _, model, train = LAYERS[name]
        trained(tmp_path, name, run(model, **train), datasets["word"])
    members = [load_model(tmp_path / "models" / name, CPU) for name in ("adaptive", "sampled")]
    mixed = MixedLanguageModel(members, [1.0, 1.0])
    p = [np.exp(-member.token_nats(TEXTS[:1])[0]) for member in members]
    assert mixed.score(TEXTS[:1])[0].nats == pytest.approx(-np.log(np.mean(p, axis=0)).sum())
    assert len(mixed.generate([""], max_tokens=5, sampling=Sampling(), seed=1)) == 1


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("name", ["adaptive", "sampled"])
def test_an_interrupted_training_ends_with_the_same_bits(datasets, tmp_path, monkeypatch, name):
    unit, model, train = LAYERS[name]
    trained(tmp_path / "whole", "run", run(model, **train), datasets[unit])
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    update, seen = loop.Trainer._update, []

    def broken(trainer, batches):
        if len(seen) == 11:
            raise StoppedError
        seen.append(1)
        update(trainer, batches)

    monkeypatch.setattr(loop.Trainer, "_update", broken)
    with pytest.raises(StoppedError):
        trained(tmp_path / "broken", "run", run(model, **train), datasets[unit])
    monkeypatch.setattr(loop.Trainer, "_update", update)
    torch.rand(17)  # another process has drawn other numbers
    trained(tmp_path / "broken", "run", run(model, **train), datasets[unit])
    whole, broken = ((tmp_path / place / "models" / "run" / "weights.safetensors").read_bytes()
                     for place in ("whole", "broken"))  # fmt: skip
    assert whole == broken


@pytest.mark.parametrize(
    ("model", "train", "told"),
    [
        ({"adaptive_softmax": [6, 6]}, {}, "cutoffs that rise"),
        ({"adaptive_softmax": [9, 6]}, {}, "cutoffs that rise"),
        ({"adaptive_softmax": []}, {}, "at least 1 item"),
        ({"adaptive_softmax": [6], "tied": True}, {}, "`tied` takes the embeddings"),
        ({"adaptive_softmax": [6]}, {"sampled_softmax": 5}, "`train.sampled_softmax` needs a single softmax"),
        ({"adaptive_softmax": [6]}, {"label_smoothing": 0.1}, "`train.label_smoothing` needs a single softmax"),
        ({}, {"sampled_softmax": 5, "label_smoothing": 0.1}, "`label_smoothing` is about all tokens"),
        ({}, {"sampled_softmax": 0}, "greater than or equal to 1"),
    ],
)
def test_what_does_not_go_together_is_refused(model, train, told):
    with pytest.raises(ValueError, match=told):
        run(model, **train)


def test_cutoffs_beyond_the_vocabulary_are_told(datasets, tmp_path):
    with pytest.raises(UserError, match=r"model.adaptive_softmax: the last cutoff should be below .* found 1,000"):
        trained(tmp_path, "run", run({"adaptive_softmax": [6, 1000]}), datasets["word"])


def test_one_softmax_keeps_the_names_of_its_weights():
    """Bundles of before are read."""
    assert [name for name, _ in softmax().named_parameters()] == ["weight", "bias"]
    layer = Softmax(3, 5)
    torch.testing.assert_close(layer(torch.ones(3)), F.linear(torch.ones(3), layer.weight, torch.zeros(5)))
