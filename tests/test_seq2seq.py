"""Encoder-decoders: a pair costs the same in any batch, a source decodes the same in any company."""

import numpy as np
import pytest
import torch
from builders import pair_dataset
from pydantic import ValidationError

from unroll.kinds.seq2seq.network import Seq2Seq
from unroll.kinds.seq2seq.predictor import PairPredictor
from unroll.kinds.seq2seq.settings import DecodeSettings, Seq2SeqBatches, Seq2SeqSettings
from unroll.kinds.seq2seq.task import Task
from unroll.text.specials import BOS, EOS
from unroll.training.loop import Trainer
from unroll.training.settings import TrainSettings

CPU = torch.device("cpu")
ATTENTIONS = ["additive", "dot", "general"]
LETTERS = list("abcdefgh")


def pairs(count: int, seed: int = 1) -> list[tuple[str, str]]:
    """Sequences of letters and their reversals."""
    random = np.random.default_rng(seed)
    words = [" ".join(random.choice(LETTERS, size=random.integers(1, 7))) for _ in range(count)]
    return [(source, " ".join(source.split()[::-1])) for source in words]


def settings(**more):
    return Seq2SeqSettings(
        **{"kind": "seq2seq", "cell": "gru", "embedding": 6, "hidden": 8, "encoder_layers": 2, "decoder_layers": 2}
        | more
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return pair_dataset(tmp_path_factory.mktemp("pairs"), pairs(23))


def make_task(data, model, **batches):
    torch.manual_seed(1)
    task = Task(model, Seq2SeqBatches(**(batches or {"batch_size": 5})), data, CPU)
    task.network.double()
    return task


@pytest.mark.parametrize("batches", [{"batch_size": 5}, {"batch_tokens": 30}, {"batch_tokens": 1}])
def test_every_epoch_has_as_many_batches_as_is_said(data, batches):
    task = make_task(data, settings(), **batches)
    assert {len(list(task.batches(np.random.default_rng(seed)))) for seed in range(3)} == {task.epoch_steps()}


@pytest.mark.parametrize("batches", [{}, {"batch_size": 5, "batch_tokens": 30}])
def test_a_batch_is_counted_in_pairs_or_in_tokens(batches):
    with pytest.raises(ValidationError, match="either `batch_size` in pairs or `batch_tokens` in tokens"):
        Seq2SeqBatches(**batches)


def predictor_of(data, model) -> PairPredictor:
    network = make_task(data, model).network
    with torch.no_grad():
        network.output.linear.weight.mul_(10)  # so that hypotheses differ,
        network.output.linear.bias[EOS] = -3  # and do not end at once
    return PairPredictor(network, data.vocabularies["source"], data.vocabularies["target"], 100, CPU)


def whole_loss(task):
    nats, tokens = 0.0, 0
    for batch in task.batches(np.random.default_rng(2)):
        loss, _ = task.loss(batch, None)
        loss.nats.backward()
        nats += loss.nats.item()
        tokens += loss.tokens
    return nats, tokens, torch.cat([p.grad.flatten() for p in task.network.parameters()])


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_batching_padding_and_packing_change_no_loss_and_no_gradient(data, cell, attention):
    model = settings(cell=cell, attention=attention)
    reference = whole_loss(make_task(data, model, batch_size=1))
    sizes = ({"batch_size": 7}, {"batch_size": 100}, {"batch_size": 7, "padding": "pack"}, {"batch_tokens": 30})
    for batches in sizes:
        nats, tokens, gradient = whole_loss(make_task(data, model, **batches))
        assert tokens == reference[1]
        assert nats == pytest.approx(reference[0], rel=1e-12)
        torch.testing.assert_close(gradient, reference[2], rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_source_decodes_the_same_alone_and_among_others(data, cell, attention, beam):
    predictor = predictor_of(data, settings(cell=cell, attention=attention))
    chosen = DecodeSettings(beam=beam)
    sources = data.raw_texts("test", "source")
    together = predictor.decode(sources, chosen)
    assert len({hypothesis.text for hypothesis in together}) > 1
    for source, hypothesis in zip(sources, together, strict=True):
        alone = predictor.decode([source], chosen)[0]
        assert alone.text == hypothesis.text
        assert alone.score == pytest.approx(hypothesis.score, rel=1e-10)
        np.testing.assert_allclose(alone.alignment, hypothesis.alignment, rtol=1e-8, atol=1e-12)
        assert alone.alignment.shape == (len(alone.tokens), len(source.split()) + 1)
    assert [h.text for h in predictor.decode(sources[::-1], chosen)] == [h.text for h in together[::-1]]


def test_decoding_scores_are_those_of_teacher_forcing(data):
    predictor = predictor_of(data, settings())
    for source in data.raw_texts("test", "source")[:5]:
        for hypothesis in predictor.decode_nbest([source], DecodeSettings(beam=3, length_penalty=0.0))[0]:
            tokens = [*predictor.target.encode(hypothesis.text).tolist(), EOS]
            ids = torch.from_numpy(predictor.source_ids(source)).unsqueeze(0)
            mask = torch.ones_like(ids).bool()
            network = predictor.network
            memory, state = network.encode(ids, torch.tensor([ids.shape[1]]), mask, packed=True)
            read, _, _ = network.decode(torch.tensor([[BOS, *tokens[:-1]]]), memory, state)
            logp = network.output.linear(read)[0].log_softmax(-1)
            expected = sum(float(logp[t, token]) for t, token in enumerate(tokens))
            assert hypothesis.score == pytest.approx(expected, rel=1e-10)


def test_a_long_source_is_cut_like_in_training_and_the_length_of_the_output_is_bounded(data):
    predictor = predictor_of(data, settings())
    predictor.max_length = 5
    assert len(predictor.source_ids("a b c d")) == 5
    assert len(predictor.source_ids("a b c d e")) == 6
    assert len(predictor.source_ids("a b c d e f g")) == 6
    long = predictor.decode(["a " * 400 + "b"], DecodeSettings(beam=2, max_ratio=1.0))[0]
    assert len(long.tokens) <= 6 + 10


def test_sources_may_be_empty(data):
    predictor = predictor_of(data, settings())
    assert predictor.decode([], DecodeSettings()) == []
    assert len(predictor.decode(["", "a"], DecodeSettings(beam=2))) == 2


def test_a_shared_vocabulary_shares_its_embeddings():
    shared = Seq2Seq(settings(tied=True), 20, 20, shared=True)
    assert shared.source_embedding is shared.target_embedding
    assert shared.output.linear.weight is shared.target_embedding.weight
    apart = Seq2Seq(settings(), 20, 30, shared=False)
    assert apart.source_embedding.weight.shape != apart.target_embedding.weight.shape


@pytest.fixture(scope="module")
def shared_data(tmp_path_factory):
    return pair_dataset(tmp_path_factory.mktemp("shared"), pairs(23), shared=True)


def test_copying_mixes_two_distributions_into_one(shared_data):
    task = make_task(shared_data, settings(pointer="mixture"))
    for batch in task.batches(np.random.default_rng(1)):
        network, targets = task.network, batch.ids["target"]
        memory, state = network.encode(batch.ids["source"], batch.lengths["source"], batch.mask("source"), False)
        decoded = network.force(targets, memory, state)
        read, _, weights = decoded
        logp = network.log_probabilities(decoded, memory)
        torch.testing.assert_close(logp.exp().sum(-1), torch.ones(targets.shape, dtype=torch.float64))
        loss = network.output.loss(read, weights, memory.source, targets, batch.places("target"))
        expected = logp.gather(-1, targets.unsqueeze(-1)).squeeze(-1)[batch.mask("target")]
        torch.testing.assert_close(loss.nats, -expected.sum())
        assert loss.tokens == len(expected)
        # A gate that is shut leaves the attention on each word, one that is open the output layer's softmax.
        torch.nn.init.zeros_(network.output.gate.weight)
        torch.nn.init.constant_(network.output.gate.bias, -40.0)
        copied = network.log_probabilities(decoded, memory).exp()
        expected = sum(
            weights[:, :, s : s + 1] * torch.nn.functional.one_hot(memory.source.ids_BS[:, s : s + 1], copied.shape[-1])
            for s in range(weights.shape[-1])
        )
        torch.testing.assert_close(copied, expected, rtol=1e-9, atol=1e-12)
        torch.nn.init.constant_(network.output.gate.bias, 40.0)
        opened = network.log_probabilities(decoded, memory)
        torch.testing.assert_close(opened, network.output.linear(read).log_softmax(-1), rtol=1e-9, atol=1e-12)


def test_copying_keeps_the_loss_and_the_result_of_each_pair(shared_data):
    model = settings(pointer="mixture")
    reference = whole_loss(make_task(shared_data, model, batch_size=1))
    nats, tokens, gradient = whole_loss(make_task(shared_data, model, batch_size=9))
    assert tokens == reference[1]
    assert nats == pytest.approx(reference[0], rel=1e-12)
    assert torch.isfinite(gradient).all()
    torch.testing.assert_close(gradient, reference[2], rtol=1e-8, atol=1e-11)
    predictor = predictor_of(shared_data, model)
    sources = shared_data.raw_texts("test", "source")
    together = predictor.decode(sources, DecodeSettings(beam=3))
    assert [predictor.decode([source], DecodeSettings(beam=3))[0].text for source in sources] == [
        hypothesis.text for hypothesis in together
    ]


def test_it_learns_to_reverse(tmp_path):
    data = pair_dataset(tmp_path, pairs(1500, seed=5))
    torch.manual_seed(1)
    model = settings(embedding=24, hidden=48, encoder_layers=1, decoder_layers=1)
    task = Task(model, Seq2SeqBatches(batch_size=32), data, CPU)
    train = TrainSettings(lr=0.01, steps=350, schedule="cosine", warmup=0.05, clip=1.0)
    Trainer("reverse", task, train, 1, CPU).fit()
    unseen = [pair for pair in pairs(60, seed=6) if len(pair[0].split()) > 3 and pair not in set(pairs(1500, seed=5))]
    predictor = PairPredictor(task.network, data.vocabularies["source"], data.vocabularies["target"], 100, CPU)
    found = predictor.decode([source for source, _ in unseen], DecodeSettings(beam=3))
    right = sum(h.text == target for h, (_, target) in zip(found, unseen, strict=True))
    assert right >= 0.9 * len(unseen)
