"""What encoder-decoders may be made of: each keeps a pair's loss and a source's result, whatever stands beside it."""

from functools import partial

import numpy as np
import pytest
import torch
from builders import dataset, pair_dataset
from torch.nn import functional as F

from unroll.engine import Local
from unroll.kinds.seq2seq import predictor as predictor_module
from unroll.kinds.seq2seq.network import Seq2Seq
from unroll.kinds.seq2seq.predictor import PairPredictor, place_open
from unroll.kinds.seq2seq.settings import DecodeSettings, Seq2SeqBatches, Seq2SeqSettings
from unroll.kinds.seq2seq.task import Task
from unroll.nn.device import ComputeSettings, prepare
from unroll.text.specials import EOS, SPECIALS, UNK
from unroll.training.loop import Trainer
from unroll.training.settings import TrainSettings

CPU = torch.device("cpu")
WORDS = ["a", "b", "c", "d", "e", ".", "?"]
RARE = ["x1", "x2", "x3", "x4"]  # each in one source and its target

OPTIONS = {
    "gnmt": {
        "cell": "lstm",
        "encoder_layers": 3,
        "encoder_directions": "first",
        "decoder_layers": 3,
        "attend": "first",
        "input_feeding": True,
        "residual_from": 2,
    },
    "gnmt-parallel": {"encoder_layers": 2, "encoder_directions": "first", "attend": "first", "residual_from": 2},
    "luong": {"encoder_directions": "one", "attend": "top", "input_feeding": True, "attention": "general"},
    "every-fed": {"attend": "every", "input_feeding": True, "attention": "dot", "bridge": "mean"},
    "multi-head": {"attention": "multi-head", "heads": 2, "bridge": "zero"},
    "coverage": {"attention": "additive", "past": "coverage"},
    "coverage-fed": {"attention": "additive", "past": "coverage", "input_feeding": True, "attend": "top"},
    "temporal": {"attention": "general", "past": "temporal"},
    "temporal-fed": {"attention": "additive", "past": "temporal", "input_feeding": True, "attend": "first"},
    "sentences": {"attention": "additive", "sentences": True},
    "sentences-temporal": {"attention": "general", "sentences": True, "past": "temporal"},
    "sentences-coverage": {"attention": "additive", "sentences": True, "past": "coverage"},
    "mixture": {"pointer": "mixture"},
    "mixture-coverage": {"pointer": "mixture", "attention": "additive", "past": "coverage", "input_feeding": True},
    "switch": {"pointer": "switch"},
    "candidates": {"candidates": 8},
    "candidates-switch": {"candidates": 8, "pointer": "switch"},
    "jordan": {"cell": "jordan", "encoder_layers": 2, "encoder_directions": "first"},
}


def pairs(count: int) -> list[tuple[str, str]]:
    random = np.random.default_rng(3)
    rows = [list(random.choice(WORDS, size=random.integers(1, 9))) for _ in range(count)]
    for row, rare in zip(rows[::4], RARE, strict=False):
        row.insert(1, rare)
    targets = [row[::-1] for row in rows]
    rows[0].append("y1")  # in no target
    targets[1].append("y2")  # in no source
    return [(" ".join(row), " ".join(target)) for row, target in zip(rows, targets, strict=True)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rows = pairs(19)
    fields = {"source": {"unit": "hybrid", "max_words": 50, "min_count": 3}, "target": {"share": "source"}}
    splits = {"train": rows, "valid": rows, "test": rows}
    return dataset(tmp_path_factory.mktemp("options"), ["source", "target"], splits, fields, 100)


@pytest.fixture(scope="module")
def shared_words(tmp_path_factory):
    return pair_dataset(tmp_path_factory.mktemp("shared"), pairs(9), shared=True)


def make_task(data, batch_size=5, **options):
    torch.manual_seed(1)
    settings = {"kind": "seq2seq", "cell": "gru", "embedding": 6, "hidden": 8, "decoder_layers": 2, **options}
    settings.setdefault("pointer", "mixture")  # so that rare words can be written
    task = Task(Seq2SeqSettings(**settings), Seq2SeqBatches(batch_size=batch_size, coverage_loss=0.5), data, CPU)
    task.network.double()
    for parameter in task.network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return task


def predictor_of(data, **options) -> PairPredictor:
    network = make_task(data, **options).network
    with torch.no_grad():
        network.output.linear.weight.mul_(10)  # so that hypotheses differ,
        network.output.linear.bias[EOS] = -3  # and do not end at once
    return PairPredictor(network, data.vocabularies["source"], data.vocabularies["target"], 100, CPU)


def whole_loss(task):
    nats, extra, tokens = 0.0, 0.0, 0
    for batch in task.batches(np.random.default_rng(2)):
        loss, _ = task.loss(batch, None)
        (loss.nats + loss.extra).backward()
        nats, extra, tokens = nats + loss.nats.item(), extra + float(loss.extra), tokens + loss.tokens
    return nats, extra, tokens, torch.cat([p.grad.flatten() for p in task.network.parameters()])


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_batching_and_padding_change_no_loss_and_no_gradient(data, options):
    if "candidates" in options:  # of a batch, in training: those of one pair must be those of many
        options = options | {"candidates": 100}
    nats, extra, tokens, gradient = whole_loss(make_task(data, 1, **options))
    others = whole_loss(make_task(data, 7, **options))
    assert others[2] == tokens
    assert others[:2] == (pytest.approx(nats, rel=1e-12), pytest.approx(extra, rel=1e-12))
    assert torch.isfinite(gradient).all()
    torch.testing.assert_close(others[3], gradient, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_a_source_decodes_the_same_alone_and_among_others_and_as_when_forced(data, options):
    predictor = predictor_of(data, **options)
    sources = data.raw_texts("test", "source")
    chosen = DecodeSettings(beam=3, length_penalty=0.0)
    together = predictor.decode(sources, chosen)
    assert len({hypothesis.text for hypothesis in together}) > 3
    for source, hypothesis in list(zip(sources, together, strict=True))[:7]:
        alone = predictor.decode([source], chosen)[0]
        assert alone.text == hypothesis.text
        assert alone.score == pytest.approx(hypothesis.score, rel=1e-10)
        np.testing.assert_allclose(alone.alignment, hypothesis.alignment, rtol=1e-8, atol=1e-12)
        assert forced(predictor, source, hypothesis.text) == pytest.approx(hypothesis.score, rel=1e-9)


def forced(predictor, source, text):
    """log p of a text, all its positions run at once."""
    ids, back = place_open(predictor.source_ids(source), len(predictor.source))
    there = {token: place for place, token in back.items()}
    tokens = torch.tensor([[*(there.get(n, n) for n in predictor.target.encode(text).tolist()), EOS]])
    lengths = torch.tensor([len(ids)])
    mask = torch.ones(1, len(ids), dtype=torch.bool)
    memory, state = predictor.network.encode(torch.from_numpy(ids).unsqueeze(0), lengths, mask, False)
    decoded = predictor.network.force(tokens, memory, state)
    logp = predictor.network.log_probabilities(decoded, memory)
    torch.testing.assert_close(logp.exp().sum(-1), torch.ones(tokens.shape, dtype=torch.float64))
    return logp.gather(-1, tokens.unsqueeze(-1)).sum().item()


@pytest.mark.parametrize("pointer", ["mixture", "switch"])
def test_the_loss_is_that_of_the_extended_distribution(data, pointer):
    """Rare words have a place of their own in the distribution where the source has them, else they are unknown."""
    task = make_task(data, 100, pointer=pointer)
    network = task.network.eval()
    (batch,) = task.batches(np.random.default_rng(1))
    targets, mask = batch.ids["target"], batch.mask("target")
    memory, state = network.encode(batch.ids["source"], batch.lengths["source"], batch.mask("source"), False)
    decoded = network.force(targets, memory, state)
    logp = network.log_probabilities(decoded, memory)
    loss = network.output.loss(decoded.read_BTD, decoded.weights_BTS, memory.source, targets, batch.places("target"))
    nowhere = ~(targets.unsqueeze(-1) == memory.source.ids_BS.unsqueeze(1)).any(-1)
    beyond = targets >= len(data.vocabularies["source"])
    assert 0 < (beyond & nowhere)[mask].sum() < beyond[mask].sum()
    targets = targets.masked_fill(beyond & nowhere, UNK)
    expected = logp.gather(-1, targets.unsqueeze(-1)).squeeze(-1)[mask]
    torch.testing.assert_close(loss.nats, -expected.sum())


def test_the_switch_is_told_to_copy_what_only_the_source_has(data):
    task = make_task(data, 100, pointer="switch")
    network = task.network
    (batch,) = task.batches(np.random.default_rng(1))
    targets, mask, size = batch.ids["target"], batch.mask("target"), len(data.vocabularies["source"])
    memory, state = network.encode(batch.ids["source"], batch.lengths["source"], batch.mask("source"), False)
    decoded = network.force(targets, memory, state)
    loss = network.output.loss(decoded.read_BTD, decoded.weights_BTS, memory.source, targets, batch.places("target"))
    copies = network.output.copies(decoded.read_BTD, decoded.weights_BTS, memory.source)
    written = network.output.linear(decoded.read_BTD).log_softmax(-1)
    expected = 0.0
    for b, t in mask.nonzero().tolist():
        token = int(targets[b, t])
        write = torch.sigmoid(copies.gate_BT1[b, t, 0])
        same = memory.source.ids_BS[b] == token
        if token < size or not same.any():
            token = token if token < size else UNK
            expected -= (write.log() + written[b, t, token]).item()
        else:
            expected -= ((1 - write) * copies.weights_BTS[b, t, same].sum()).log().item()
    assert (loss.nats + loss.extra).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("pointer", [None, "mixture", "switch"])
def test_smoothing_mixes_the_loss_with_that_of_writing_any_token_alike(data, pointer):
    network = make_task(data, 100, pointer=pointer).network
    with torch.no_grad():
        network.output.linear.bias.mul_(40)  # what is copied is sure not to be written
    (batch,) = make_task(data, 100).batches(np.random.default_rng(1))
    targets, mask = batch.ids["target"], batch.mask("target")
    memory, state = network.encode(batch.ids["source"], batch.lengths["source"], batch.mask("source"), False)
    decoded = network.force(targets, memory, state)
    given = decoded.read_BTD, decoded.weights_BTS, memory.source, targets, batch.places("target")
    plain, smooth = network.output.loss(*given), network.output.loss(*given, 0.3)
    alike = -network.output.linear(decoded.read_BTD).log_softmax(-1).mean(-1)[mask].sum()
    torch.testing.assert_close(smooth.nats, plain.nats)
    torch.testing.assert_close(smooth.nats + smooth.extra, 0.7 * (plain.nats + plain.extra) + 0.3 * alike)


def test_candidates_are_the_source_and_the_most_frequent(data):
    output = make_task(data, candidates=7).network.output
    ids = torch.tensor([[[EOS, 8, 8]], [[EOS, 5, 999]]])
    assert [row.nonzero().flatten().tolist() for row in output.candidates_of(ids)] == [
        [*range(len(SPECIALS)), 4, 5, 8],
        [*range(len(SPECIALS)), 4, 5, 6],
    ]


def test_the_loss_of_all_candidates_is_the_full_loss_and_of_few_is_that_of_their_softmax(data):
    full, everything, few = (make_task(data, 100, candidates=n) for n in (None, 100, 7))
    for task in (everything, few):
        task.network.load_state_dict(full.network.state_dict())
    (batch,) = full.batches(np.random.default_rng(1))
    losses = [task.loss(batch, None)[0] for task in (full, everything)]
    assert losses[0].nats.item() == pytest.approx(losses[1].nats.item(), rel=1e-12)
    output, read = few.network.output, torch.randn(1, 2, 8, dtype=torch.float64)
    few.network.output.gate = None
    ids = torch.tensor([[EOS, 8]])
    source = few.network.encode(ids, torch.tensor([2]), torch.ones(1, 2).bool(), False)[0].source
    targets = torch.tensor([[8, 7]])  # the second is no candidate, so it counts as unknown
    loss = output.loss(read, torch.zeros(1, 2, 2), source, targets, torch.arange(2))
    chosen = [0, 1, 2, 3, 4, 5, 8]
    logp = F.linear(read[0], output.linear.weight[chosen], output.linear.bias[chosen]).log_softmax(-1)
    assert loss.nats.item() == pytest.approx(-(logp[0, 6] + logp[1, UNK]).item(), rel=1e-12)


def test_coverage_loss_by_hand(data):
    output = make_task(data).network.output
    weights = torch.tensor([[[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]]], dtype=torch.float64)
    source = make_task(data).network.encode(torch.tensor([[4, EOS]]), torch.tensor([2]), torch.ones(1, 2).bool(), False)
    targets, real = torch.tensor([[4, 5, EOS]]), torch.arange(2)
    read = torch.randn(1, 3, 8, dtype=torch.float64)
    losses = [output.loss(read, weights, source[0].source, targets, real, 0.0, share) for share in (0.0, 2.0)]
    assert losses[1].nats == losses[0].nats
    assert float(losses[1].extra) - float(losses[0].extra) == pytest.approx(2 * (0.2 + 0.3))


def test_a_mixture_is_safe_where_the_gate_is_shut_or_open(data):
    for bias in (-1e4, 1e4):
        task = make_task(data, 100, pointer="mixture")
        torch.nn.init.constant_(task.network.output.gate.bias, bias)
        nats, _, _, gradient = whole_loss(task)
        assert np.isfinite(nats)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "multi-head", "heads": 3}, "multiple of `heads`"),
        ({"heads": 2}, "`heads` belongs to attention: multi-head"),
        (
            {"attention": "multi-head", "past": "temporal"},
            "`past` belongs to attention: additive, dot and general, not multi-head",
        ),
        (
            {"attention": "multi-head", "sentences": True},
            "`sentences` belongs to attention: additive, dot and general, not multi-head",
        ),
        ({"attention": "general", "past": "coverage"}, "belongs to attention: additive"),
        ({"residual_from": 3}, "`residual_from` should be a layer"),
    ],
)
def test_contradictions_are_refused(options, message):
    stated = {"kind": "seq2seq", "cell": "gru", "embedding": 6, "hidden": 8, "decoder_layers": 2, **options}
    with pytest.raises(ValueError, match=message):
        Seq2SeqSettings(**stated)


def test_variational_dropout_is_the_same_at_all_steps_that_are_fed(data):
    """Dropping what is fed back and what layers hand on is drawn once a sequence, though the steps are single calls."""
    task = make_task(data, input_feeding=True, attend="top", dropout={"output": 0.5, "variational": True})
    (batch, *_) = task.batches(np.random.default_rng(1))
    memory, state = task.network.encode(batch.ids["source"], batch.lengths["source"], batch.mask("source"), False)
    read = task.network.force(batch.ids["target"], memory, state).read_BTD
    assert torch.equal(read == 0, (read == 0)[:, :1].expand_as(read))
    assert 0 < (read == 0).double().mean() < 1


def test_an_unknown_word_beyond_all_others_needs_no_source_vocabulary():
    network = Seq2Seq(Seq2SeqSettings(kind="seq2seq", cell="gru", embedding=4, hidden=4), 9, 9, True)
    inputs = torch.tensor([[5, 11, EOS]])
    mask = torch.ones(1, 3).bool()
    unknown = network.encode(inputs.masked_fill(inputs > 8, UNK), torch.tensor([3]), mask, False)[0]
    assert torch.equal(
        network.encode(inputs, torch.tensor([3]), mask, False)[0].source.values_BSM, unknown.source.values_BSM
    )


FED = {"input_feeding": True, "attend": "first", "attention": "additive", "past": "coverage", "pointer": "mixture"}


def forced_batch(task, own):
    (batch,) = task.batches(np.random.default_rng(1))
    memory, state = task.network.encode(batch.ids["source"], batch.lengths["source"], batch.mask("source"), False)
    decoded = task.network.force(batch.ids["target"], memory, state, own)
    return batch, memory, decoded


def test_sampling_hardly_ever_is_teacher_forcing(data):
    task = make_task(data, 100, **FED)
    (_, _, right), (_, _, sampled) = (forced_batch(task, own) for own in (0.0, 1e-12))
    torch.testing.assert_close(sampled.read_BTD, right.read_BTD, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(sampled.weights_BTS, right.weights_BTS, rtol=1e-10, atol=1e-12)


def test_sampling_always_reads_what_the_model_itself_says(data):
    """With a distribution that has all its mass in one token each draw is the greedy choice."""
    task = make_task(data, 100, **FED)
    with torch.no_grad():
        task.network.output.linear.weight.mul_(1e5)
        task.network.output.gate.bias.fill_(1e3)
    batch, memory, sampled = forced_batch(task, 1.0)
    logp = task.network.log_probabilities(sampled, memory)
    said = torch.cat([torch.zeros_like(batch.ids["target"][:, :1]), logp.argmax(-1)], dim=1)
    again = task.network.force(
        said[:, 1:], *task.network.encode(batch.ids["source"], batch.lengths["source"], batch.mask("source"), False)
    )
    torch.testing.assert_close(sampled.read_BTD, again.read_BTD, rtol=1e-10, atol=1e-12)


def test_scheduled_sampling_rises_with_the_budget_that_is_spent(data, monkeypatch):
    task = make_task(data, 100)
    task.settings = task.settings.model_copy(update={"scheduled_sampling": 0.4})
    shares, force = [], task.network.force

    def told(targets, memory, state, own):
        shares.append((task.network.training, own))
        return force(targets, memory, state, own)

    monkeypatch.setattr(task.network, "force", told)
    Trainer("fed", task, TrainSettings(lr=1e-3, steps=4), 1, CPU).fit()
    assert [own for training, own in shares if training] == [pytest.approx(0.4 * n / 4) for n in range(4)]
    assert {own for training, own in shares if not training} == {0.0}


@pytest.mark.parametrize("pointer", [None, "mixture", "switch"])
def test_p_gen_is_the_mean_probability_of_writing(shared_words, pointer):
    predictor = predictor_of(shared_words, pointer=pointer)
    sources = shared_words.raw_texts("test", "source")
    found = predictor.decode(sources, DecodeSettings(beam=2))
    if pointer is None:
        assert predictor.p_gen(sources, found) is None
        return
    torch.nn.init.zeros_(predictor.network.output.gate.weight)
    torch.nn.init.constant_(predictor.network.output.gate.bias, 0.4)
    assert predictor.p_gen(sources, found) == pytest.approx(1 / (1 + np.exp(-0.4)))


def test_any_number_of_processes_decodes_the_same(data, monkeypatch):
    monkeypatch.setattr(predictor_module, "POSITIONS", 60)
    predictor, sources = predictor_of(data), [source for source, _ in pairs(19)]
    told = []
    processes = Local(2, partial(prepare, ComputeSettings()))
    parts = predictor.decode_nbest(sources, DecodeSettings(beam=3), 2, told.append, processes)
    whole = predictor.decode_nbest(sources, DecodeSettings(beam=3), 2)
    assert sum(told) == 19 and len(told) > 4
    for ours, theirs in zip(parts, whole, strict=True):
        assert [hypothesis._replace(alignment=None) for hypothesis in ours] == [
            hypothesis._replace(alignment=None) for hypothesis in theirs
        ]
        assert all((a.alignment == b.alignment).all() for a, b in zip(ours, theirs, strict=True))
