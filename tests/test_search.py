"""Beam search and sampling against exhaustive search and a plain search on small tables of probabilities."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from unroll.kinds.seq2seq.penalties import coverage_penalty, length_norm
from unroll.kinds.seq2seq.search import Sentences, find_hypotheses
from unroll.kinds.seq2seq.settings import DecodeSettings
from unroll.text.specials import BOS, EOS, SPECIALS, UNK

WORDS = 3
V = len(SPECIALS) + WORDS
S = 4  # positions of the longest source

PENALTIES: list[dict[str, Any]] = [
    {"length_penalty": 0.0},
    {"length_penalty": 0.6},
    {"length_penalty": 1.0},
    {"length_penalty": 0.0, "coverage_penalty": 0.5},
    {"length_penalty": 0.6, "coverage_penalty": 0.2},
    {"length_penalty": 1.0, "coverage_penalty": 3.0},
    {"min_length": 2},
    {"min_length": 3, "coverage_penalty": 0.2},
    {"no_repeat_ngram": 1},
    {"no_repeat_ngram": 2, "coverage_penalty": 0.2},
    {"no_repeat_ngram": 3, "min_length": 1},
    {"no_repeat_ngram": 2, "min_length": 4},
    {"replace_unknown": True, "no_repeat_ngram": 2},
]
penalties = pytest.mark.parametrize("penalty", PENALTIES, ids=str)


class Table:
    """A model whose next token depends on the last two: log p[sentence, one before, last, next]; it looks by the last.

    The state says which sentence a hypothesis belongs to, and `there` which sentences the search still has.
    """

    def __init__(self, sentences: int, seed: int, sharpness: float = 2.0) -> None:
        random = torch.Generator().manual_seed(seed)
        logits = sharpness * torch.randn(sentences, V, V, V, generator=random, dtype=torch.float64)
        logits[..., [0, BOS]] = -torch.inf
        self.logp = logits.log_softmax(-1)
        self.lengths = torch.arange(sentences) % S + 1
        scores = 2 * torch.randn(sentences, V, S, generator=random, dtype=torch.float64)
        self.real = torch.arange(S) < self.lengths.unsqueeze(1)
        self.weights = scores.masked_fill(~self.real.unsqueeze(1), -torch.inf).softmax(-1)
        self.there: Tensor | None = None
        self.steps = 0

    def start(self, rows: list[int]) -> Any:
        """One row a sentence: the sentence's number and the token before the last."""
        self.there = torch.tensor(rows)
        return ((self.there, None), torch.full((len(rows), 1), BOS))

    def __call__(self, ids_BK: Tensor, state: Any) -> tuple[Tensor, Any, Tensor]:
        (sentence, nothing), before = state
        assert nothing is None
        assert sentence.view(ids_BK.shape).tolist() == self.there.unsqueeze(1).expand(ids_BK.shape).tolist()
        self.steps += len(self.there)
        last = ids_BK.flatten()
        logp = self.logp[sentence, before[:, 0], last].view(*ids_BK.shape, V)
        weights = self.weights[sentence, last].view(*ids_BK.shape, S)
        return logp, ((sentence, None), last.unsqueeze(1)), weights

    def keep(self, rows_B: Tensor) -> None:
        self.there = self.there[rows_B]

    def log_probability(self, sentence: int, tokens: tuple[int, ...]) -> float:
        total, before, last = 0.0, BOS, BOS
        for token in (*tokens, EOS):
            total += float(self.logp[sentence, before, last, token])
            before, last = last, token
        return total

    def score(self, sentence: int, tokens: tuple[int, ...], settings: DecodeSettings) -> float:
        """Equation 14 of Wu et al. (2016), term by term."""
        length = len(tokens) + 1
        total = self.log_probability(sentence, tokens) / (
            (5 + length) ** settings.length_penalty / 6**settings.length_penalty
        )
        for i in range(int(self.lengths[sentence])):
            looked = sum(float(self.weights[sentence, token, i]) for token in (BOS, *tokens))
            total += settings.coverage_penalty * math.log(min(looked, 1.0))
        return total


def search(table: Any, rows: list[int], limits: list[int], settings: DecodeSettings, count=None, random=None):
    sentences = Sentences(table.real[rows], torch.tensor(limits), random)
    return find_hypotheses(table, table.start(rows), sentences, settings, settings.beam if count is None else count)


def repeats(tokens: tuple[int, ...], n: int | None) -> bool:
    grams = [] if n is None else [tokens[t : t + n] for t in range(len(tokens) - n + 1)]
    return len(set(grams)) < len(grams)


def all_sequences(limit: int, settings: DecodeSettings) -> list[tuple[int, ...]]:
    """What may be said in at most `limit` tokens."""
    words = [*([UNK] if settings.replace_unknown else []), *range(len(SPECIALS), V)]
    sequences = [tokens for n in range(limit + 1) for tokens in itertools.product(words, repeat=n)]
    allowed = [tokens for tokens in sequences if not repeats(tokens, settings.no_repeat_ngram)]
    return [tokens for tokens in allowed if len(tokens) >= settings.min_length]


@penalties
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_what_exhaustive_search_finds(seed, penalty):
    table, limit = Table(4, seed), 4
    settings = DecodeSettings(beam=400, **penalty)
    everything = all_sequences(limit, settings)
    found = search(table, [0, 1, 2, 3], [limit] * 4, settings)
    first = search(table, [0, 1, 2, 3], [limit] * 4, settings, count=1)
    for sentence in range(4):
        expected = sorted(everything, key=lambda tokens: -table.score(sentence, tokens, settings))
        assert [tuple(f.tokens) for f in found[sentence]] == expected
        for hypothesis in found[sentence]:
            tokens = tuple(hypothesis.tokens)
            assert hypothesis.score == pytest.approx(table.score(sentence, tokens, settings), rel=1e-9)
            assert hypothesis.log_probability == pytest.approx(table.log_probability(sentence, tokens), rel=1e-9)
        assert [tuple(f.tokens) for f in first[sentence]] == expected[:1]


def plain_search(table: Table, sentence: int, limit: int, settings: DecodeSettings) -> list[tuple[int, ...]]:
    """Beam search one hypothesis after the other, without a bound that ends it early."""
    going: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    ended: list[tuple[int, ...]] = []
    for length in range(limit + 1):
        candidates = []
        for tokens, logp in going:
            before, last = ([BOS, BOS, *tokens])[-2:]
            words = [*([UNK] if settings.replace_unknown else []), *range(len(SPECIALS), V)]
            words = [] if length == limit else [w for w in words if not repeats((*tokens, w), settings.no_repeat_ngram)]
            if length >= settings.min_length or not words:
                words.append(EOS)
            candidates += [((*tokens, w), logp + float(table.logp[sentence, before, last, w])) for w in words]
        candidates.sort(key=lambda candidate: -candidate[1])
        ended += [tokens[:-1] for tokens, _ in candidates[: settings.beam] if tokens[-1] == EOS]
        going = [candidate for candidate in candidates if candidate[0][-1] != EOS][: settings.beam]
        if len(ended) >= settings.beam:
            break
    return sorted(ended[: settings.beam], key=lambda tokens: -table.score(sentence, tokens, settings))


@penalties
@pytest.mark.parametrize("beam", [1, 2, 3, 5])
def test_a_beam_finds_what_a_plain_search_finds_however_many_are_asked_for(beam, penalty):
    table = Table(8, 5)
    settings = DecodeSettings(beam=beam, **penalty)
    limits = [6, 4, 5, 9, 6, 4, 7, 8]
    for count in range(1, beam + 1):
        found = search(table, list(range(8)), limits, settings, count)
        for sentence, limit in enumerate(limits):
            expected = plain_search(table, sentence, limit, settings)[:count]
            assert [tuple(f.tokens) for f in found[sentence]] == expected


@pytest.mark.parametrize("seed", range(8))
def test_a_beam_of_one_is_greedy_search(seed):
    table, limit = Table(1, seed), 6
    tokens, before, last = [], BOS, BOS
    while len(tokens) < limit:
        allowed = table.logp[0, before, last].clone()
        allowed[UNK] = -torch.inf
        token = int(allowed.argmax())
        if token == EOS:
            break
        tokens.append(token)
        before, last = last, token
    assert search(table, [0], [limit], DecodeSettings(beam=1))[0][0].tokens == tokens


@penalties
@pytest.mark.parametrize("beam", [1, 3, 7])
def test_a_sentence_does_not_depend_on_its_neighbours(beam, penalty):
    table, settings = Table(5, 3), DecodeSettings(beam=beam, **penalty)
    limits = [limit + settings.min_length for limit in (6, 1, 4, 0, 6)]
    together = search(table, list(range(5)), limits, settings)
    for sentence, limit in enumerate(limits):
        alone = search(table, [sentence], [limit], settings)[0]
        assert [(f.tokens, f.score) for f in alone] == [(f.tokens, f.score) for f in together[sentence]]
        for one, other in zip(alone, together[sentence], strict=True):
            assert torch.equal(one.weights_TS, other.weights_TS)
    order = [4, 2, 0, 3, 1]
    turned = search(table, order, [limits[n] for n in order], settings)
    for place, sentence in enumerate(order):
        assert [f.tokens for f in turned[place]] == [f.tokens for f in together[sentence]]


def test_sentences_that_are_done_cost_nothing_more():
    table, alone = Table(40, 2), []
    search(table, list(range(40)), [60] * 40, DecodeSettings(beam=2), 1)
    together = table.steps
    for sentence in range(40):
        table.steps = 0
        search(table, [sentence], [60], DecodeSettings(beam=2), 1)
        alone.append(table.steps)
    assert sum(alone) <= together < 1.2 * sum(alone) < 0.5 * 40 * max(alone)


@pytest.mark.parametrize("beam", [1, 3])
def test_hypotheses_keep_their_limits_scores_and_attention(beam):
    table, settings = Table(3, 11), DecodeSettings(beam=beam)
    for sentence, hypotheses in enumerate(search(table, [0, 1, 2], [2, 3, 5], settings)):
        assert 1 <= len(hypotheses) <= beam
        assert [f.score for f in hypotheses] == sorted((f.score for f in hypotheses), reverse=True)
        for found in hypotheses:
            assert len(found.tokens) <= [2, 3, 5][sentence]
            assert not set(found.tokens) & {0, 1, 2, 3}
            assert found.score == pytest.approx(table.score(sentence, tuple(found.tokens), settings))
            assert torch.equal(found.weights_TS, table.weights[sentence, [BOS, *found.tokens]][: len(found.tokens)])


def test_a_hypothesis_that_can_say_nothing_new_ends_before_its_least_length():
    settings = DecodeSettings(beam=2, min_length=9, no_repeat_ngram=1)
    ((first, _),) = search(Table(1, 1), [0], [20], settings)
    assert sorted(first.tokens) == list(range(len(SPECIALS), V))


class Growing(Table):
    """Its vocabulary has more tokens at each step, as one that points to words of the batch's sources may have."""

    def __call__(self, ids_BK: Tensor, state: Any) -> tuple[Tensor, Any, Tensor]:
        (sentence, time), before = state
        logp = torch.full((*ids_BK.shape, V + int(time[0])), -9.0, dtype=torch.float64)
        logp[..., -1] = -0.1
        logp[..., EOS] = -20.0
        return logp, ((sentence, time + 1), before), self.weights[sentence, BOS].view(*ids_BK.shape, S)

    def start(self, rows: list[int]) -> Any:
        (sentence, _), before = super().start(rows)
        return (sentence, torch.zeros_like(sentence)), before


def test_ids_may_lie_beyond_the_vocabulary_and_the_state_may_be_anything_nested():
    found = search(Growing(2, 1), [0, 1], [4, 2], DecodeSettings(beam=2, length_penalty=3.0, no_repeat_ngram=2))
    assert [hypotheses[0].tokens for hypotheses in found] == [[V - 1, V, V + 1, V + 2], [V - 1, V]]


def test_the_norms_and_the_coverage_penalty_are_those_of_wu_et_al():
    assert length_norm(1, 0.6) == 1.0
    assert length_norm(13, 0.5) == pytest.approx(math.sqrt(3))
    # Two positions have got 0.25 and 1.75, the third is padding: 0.5 (ln 0.25 + ln 1).
    covered, real = torch.tensor([[[0.25, 1.75, 0.0]]]), torch.tensor([[True, True, False]])
    assert coverage_penalty(covered, real, 0.5).item() == pytest.approx(0.5 * math.log(0.25))
    assert math.isfinite(coverage_penalty(torch.zeros(1, 1, 3), real, 0.5).item())


SAMPLES: list[dict[str, Any]] = [{}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.8}, {"top_k": 3, "top_p": 0.7}]


def tempered(logp_V: Tensor, temperature: float = 1.0, top_k: int = V, top_p: float = 1.0) -> list[float]:
    """The probabilities that are drawn from, token by token."""
    p = (logp_V / temperature).softmax(-1).tolist()
    ranked = sorted(range(len(p)), key=lambda n: -p[n])[:top_k]
    share, kept = 0.0, []
    for n in ranked:
        if share >= top_p * sum(p[m] for m in ranked):
            break
        share += p[n]
        kept.append(n)
    return [p[n] / share if n in kept else 0.0 for n in range(len(p))]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_samples_come_as_often_as_they_are_likely(sample):
    """At numbers that are evenly spread over [0, 1) each first token is drawn by its share."""
    table, draws = Table(1, 4), 2000
    random = torch.rand(1, draws, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    random[0, :, 0] = (torch.arange(draws) + 0.5) / draws
    settings = DecodeSettings(beam=1, sample=sample)
    (found,) = search(table, [0], [2], settings, draws, random)
    assert len(found) == draws
    logp = table.logp[0, BOS, BOS].clone()
    logp[UNK] = -torch.inf
    for token, p in enumerate(tempered(logp, **sample)):
        drawn = sum((f.tokens[0] if f.tokens else EOS) == token for f in found)
        assert drawn == pytest.approx(p * draws, abs=1.01)
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(table.score(0, tuple(hypothesis.tokens), settings))


@pytest.mark.parametrize("penalty", [{}, {"min_length": 2, "no_repeat_ngram": 2, "coverage_penalty": 0.3}], ids=str)
def test_a_sample_does_not_depend_on_its_neighbours(penalty):
    table, settings = Table(5, 3), DecodeSettings(beam=1, sample={"top_p": 0.9}, **penalty)
    limits = [6, 3, 4, 2, 6]
    random = torch.rand(5, 3, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    together = search(table, list(range(5)), limits, settings, 3, random)
    for sentence, limit in enumerate(limits):
        (alone,) = search(table, [sentence], [limit], settings, 3, random[sentence : sentence + 1])
        assert [(f.tokens, f.score) for f in alone] == [(f.tokens, f.score) for f in together[sentence]]
        assert len(alone) == 3
        assert all(settings.min_length <= len(f.tokens) <= limit for f in alone)
        assert not any(repeats(tuple(f.tokens), settings.no_repeat_ngram) for f in alone)
