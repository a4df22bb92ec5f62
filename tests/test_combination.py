"""Several models that decode as one: against what each of them says, and against exhaustive search."""

import itertools
import math

import numpy as np
import pytest
import torch
from builders import pair_dataset, text_dataset

from unroll.errors import UserError
from unroll.kinds.combination.mixture import MixedLanguageModel
from unroll.kinds.combination.predictor import CombinedPredictor
from unroll.kinds.combination.settings import PairCombination, TextCombination
from unroll.kinds.generation import Sampling
from unroll.kinds.language_model.network import LanguageModel
from unroll.kinds.language_model.predictor import LanguageModelPredictor
from unroll.kinds.language_model.settings import LanguageModelSettings
from unroll.kinds.ngram.predictor import NgramPredictor, model_of
from unroll.kinds.ngram.settings import NgramSettings, NgramTraining
from unroll.kinds.ngram.task import Task as NgramTask
from unroll.kinds.seq2seq.network import Seq2Seq
from unroll.kinds.seq2seq.penalties import length_norm
from unroll.kinds.seq2seq.predictor import PairPredictor
from unroll.kinds.seq2seq.settings import DecodeSettings, Seq2SeqSettings
from unroll.text.specials import BOS, EOS

CPU = torch.device("cpu")
PAIRS = [("a b", "b a"), ("b b a", "a b b"), ("a", "a"), ("b", "b"), ("a a b", "b a a")]
TARGETS = [target for _, target in PAIRS]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return pair_dataset(tmp_path_factory.mktemp("pairs"), PAIRS)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return text_dataset(tmp_path_factory.mktemp("texts"), TARGETS, {"unit": "word"})


def member(data, seed, **options) -> PairPredictor:
    torch.manual_seed(seed)
    source, target = data.vocabularies["source"], data.vocabularies["target"]
    settings = Seq2SeqSettings(**{"kind": "seq2seq", "cell": "gru", "embedding": 5, "hidden": 6, **options})
    network = Seq2Seq(settings, len(source), len(target), source is target).double()
    with torch.no_grad():
        network.output.linear.weight.mul_(5)
    return PairPredictor(network, source, target, 100, CPU)


def recurrent(texts, context="text") -> LanguageModelPredictor:
    torch.manual_seed(7)
    settings = LanguageModelSettings(kind="language_model", cell="lstm", embedding=4, hidden=5, layers=2)
    vocabulary = texts.vocabularies["text"]
    network = LanguageModel(settings, len(vocabulary)).double()
    with torch.no_grad():
        network.output.weight.mul_(6)
    return LanguageModelPredictor(network, vocabulary, context, CPU)


def ngram(texts, context="text") -> NgramPredictor:
    task = NgramTask(NgramSettings(kind="ngram", order=3), NgramTraining(context=context), texts, CPU)
    vocabulary = texts.vocabularies["text"]
    *_, last = task.stages()
    return NgramPredictor(model_of(last.weights, len(vocabulary)), vocabulary, context)


LANGUAGE_MODELS = {"recurrent": recurrent, "ngram": ngram}


@pytest.mark.parametrize("context", ["text", "stream"])
@pytest.mark.parametrize("make", LANGUAGE_MODELS.values(), ids=LANGUAGE_MODELS.keys())
def test_next_tokens_add_up_to_the_score_of_a_text(texts, make, context):
    model = make(texts, context)
    rows = [[*model.vocabulary.encode(text).tolist(), EOS] for text in ("a b", "b a")]
    state, ids, total = model.begin(2), torch.full((2,), BOS), torch.zeros(2, dtype=torch.float64)
    for targets in zip(*rows, strict=True):
        logp, state = model.advance(ids, state)
        torch.testing.assert_close(
            logp.double().exp().sum(-1), torch.ones(2, dtype=torch.float64), rtol=1e-5, atol=1e-5
        )
        ids = torch.tensor(targets)
        total += logp.double().gather(1, ids.unsqueeze(1)).squeeze(1)
    for text, found in zip(("a b", "b a"), total.tolist(), strict=True):
        assert -found == pytest.approx(model.score([text])[0].nats, rel=1e-5)


def best_by_hand(members, fusion, source, alpha, longest):
    """The best text of at most `longest` tokens, by trying them all."""
    target = members[0].target
    letters = [n for n in range(len(target)) if n > EOS]
    scores = {}
    for length in range(longest + 1):
        for tokens in itertools.product(letters, repeat=length):
            row = [*tokens, EOS]
            logps = []
            for one in members:
                ids = torch.from_numpy(one.source_ids(source)).unsqueeze(0)
                mask = torch.ones_like(ids).bool()
                memory, state = one.network.encode(ids, torch.tensor([ids.shape[1]]), mask, False)
                decoded = one.network.force(torch.tensor([row]), memory, state)
                logps.append(one.network.log_probabilities(decoded, memory)[0])
            logp = torch.stack(logps).logsumexp(0) - math.log(len(logps))
            total = sum(float(logp[t, token].detach()) for t, token in enumerate(row))
            if fusion is not None:
                total -= fusion[1] * fusion[0].score([target.decode(tokens)])[0].nats
            scores[target.decode(tokens)] = total / length_norm(len(row), alpha)
    return max(scores.items(), key=lambda item: item[1])


@pytest.mark.parametrize("partner", [None, *LANGUAGE_MODELS])
@pytest.mark.parametrize("count", [1, 3])
def test_the_search_finds_what_the_mean_of_all_and_the_language_model_like_best(data, texts, count, partner):
    if count == 1 and partner is None:
        pytest.skip("nothing is combined")
    members = [member(data, seed, attend="every", input_feeding=seed % 2 == 0) for seed in range(count)]
    fusion = None if partner is None else (LANGUAGE_MODELS[partner](texts), 0.7)
    combined = CombinedPredictor(members, fusion)
    settings = DecodeSettings(beam=40, length_penalty=0.5, max_length=3)
    for source in ("a b", "b"):
        text, score = best_by_hand(members, fusion, source, 0.5, 3)
        found = combined.decode([source], settings)[0]
        assert found.text == text
        assert found.score == pytest.approx(score, rel=1e-6)


def test_a_source_decodes_the_same_alone_and_among_others(data, texts):
    combined = CombinedPredictor([member(data, 1), member(data, 2, past="temporal")], (recurrent(texts), 0.3))
    sources, settings = [source for source, _ in PAIRS], DecodeSettings(beam=3)
    together = combined.decode(sources, settings)
    for source, found in zip(sources, together, strict=True):
        alone = combined.decode([source], settings)[0]
        assert (alone.text, alone.score) == (found.text, pytest.approx(found.score, rel=1e-10))
        np.testing.assert_allclose(alone.alignment.sum(1), 1.0)


def test_pointers_to_different_widths_go_together(tmp_path):
    pairs = [("a x", "x a"), ("b y z", "z y b"), ("a", "a"), ("b", "b")]
    shared = pair_dataset(tmp_path, pairs, shared=True)
    combined = CombinedPredictor([member(shared, 1, pointer="mixture"), member(shared, 2)])
    assert len(combined.decode([source for source, _ in pairs], DecodeSettings(beam=2))) == 4


@pytest.mark.parametrize("make", LANGUAGE_MODELS.values(), ids=LANGUAGE_MODELS.keys())
def test_rescoring_ranks_the_beam_by_both(data, texts, make):
    one, model = member(data, 3), make(texts)
    settings = DecodeSettings(beam=5, length_penalty=1.0)
    before = one.decode_nbest(["a b"], settings)[0]
    after = CombinedPredictor([one], rescoring=(model, 0.8)).decode_nbest(["a b"], settings)[0]
    expected = {
        h.text: h.score - 0.8 * model.score([h.text])[0].nats / length_norm(len(h.tokens) + 1, 1.0) for h in before
    }
    assert {h.text: pytest.approx(h.score) for h in after} == expected
    assert [h.score for h in after] == sorted((h.score for h in after), reverse=True)
    assert len(CombinedPredictor([one], rescoring=(model, 0.8)).decode_nbest(["a b"], settings, 2)[0]) == 2


def test_vocabularies_must_be_the_same(data, tmp_path):
    other = pair_dataset(tmp_path, [("a c", "c a")])
    with pytest.raises(UserError, match="different vocabularies"):
        CombinedPredictor([member(data, 1), member(other, 1)])
    characters = text_dataset(tmp_path / "texts", TARGETS, {"unit": "char"})
    with pytest.raises(UserError, match=r"fusion: .* another vocabulary"):
        CombinedPredictor([member(data, 1)], (recurrent(characters), 0.1))


@pytest.mark.parametrize(
    ("stated", "message"),
    [({"runs": ["a"]}, "combines nothing"), ({"runs": ["a", "a"]}, "names a run twice")],
)
def test_contradictions_are_refused(stated, message):
    with pytest.raises(ValueError, match=message):
        PairCombination(dataset="d", **stated)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"runs": ["a", "a"]}, "names a run twice"),
        ({"runs": ["a", "b"], "weights": [1.0]}, "a weight for each of the 2"),
    ],
)
def test_contradictions_of_language_models_are_refused(stated, message):
    with pytest.raises(ValueError, match=message):
        TextCombination(dataset="d", **stated)


@pytest.mark.parametrize("context", ["text", "stream"])
def test_a_mixture_is_the_mean_of_probabilities(texts, context):
    members = [recurrent(texts, context), ngram(texts, context)]
    mixed = MixedLanguageModel(members, [3.0, 1.0])
    rows = [member.token_nats(TARGETS) for member in members]
    for found, apart in zip(mixed.score(TARGETS), zip(*rows, strict=True), strict=True):
        expected = -np.log(0.75 * np.exp(-apart[0]) + 0.25 * np.exp(-apart[1])).sum()
        assert found.nats == pytest.approx(expected, rel=1e-9)
        assert found.tokens == len(apart[0])
    for member, nats in zip(members, rows, strict=True):
        assert [score.nats for score in member.score(TARGETS)] == pytest.approx([float(n.sum()) for n in nats])


@pytest.mark.parametrize("context", ["text", "stream"])
def test_a_mixture_writes_as_its_members_do_where_one_has_all_the_weight(texts, context):
    members = [recurrent(texts, context), ngram(texts, context)]
    for number, weights in enumerate(([1.0, 1e-30], [1e-30, 1.0])):
        mixed = MixedLanguageModel(members, weights)
        arguments = {"max_tokens": 6, "sampling": Sampling(0.7), "seed": 3}
        assert mixed.generate(["", "a"], **arguments) == members[number].generate(["", "a"], **arguments)


def test_language_models_of_a_mixture_read_the_same(texts, tmp_path):
    with pytest.raises(UserError, match="different contexts, text and stream"):
        MixedLanguageModel([recurrent(texts), ngram(texts, "stream")], [1.0, 1.0])
    characters = text_dataset(tmp_path, TARGETS, {"unit": "char"})
    with pytest.raises(UserError, match="different vocabularies"):
        MixedLanguageModel([recurrent(texts), recurrent(characters)], [1.0, 1.0])
