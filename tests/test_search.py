"""Beam search against exhaustive and greedy search on small tables of probabilities."""

import itertools

import pytest
import torch
from torch import Tensor

from unroll.kinds.seq2seq.search import beam_search, length_norm
from unroll.kinds.seq2seq.settings import DecodeSettings
from unroll.text.specials import BOS, EOS, SPECIALS

WORDS = 3
V = len(SPECIALS) + WORDS


class Table:
    """A model whose next token depends on the last two: log p[sentence, one before, last, next]."""

    def __init__(self, sentences: int, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        logits = 2 * torch.randn(sentences, V, V, V, generator=random, dtype=torch.float64)
        logits[..., [0, 1, 2]] = -torch.inf
        self.logp = logits.log_softmax(-1)

    def start(self, rows: list[int]) -> tuple[tuple[Tensor, ...], ...]:
        """One row a sentence: the sentence's number and the token before the last."""
        return ((torch.tensor(rows).unsqueeze(1), torch.full((len(rows), 1), BOS)),)

    def step(self, ids_BK: Tensor, state):
        ((sentence, before),) = state
        last = ids_BK.flatten()
        logp = self.logp[sentence[:, 0], before[:, 0], last].view(*ids_BK.shape, V)
        weights = torch.nn.functional.one_hot(ids_BK, V).double()
        return logp, ((sentence, last.unsqueeze(1)),), weights

    def score(self, sentence: int, tokens: tuple[int, ...], alpha: float) -> float:
        total, before, last = 0.0, BOS, BOS
        for token in (*tokens, EOS):
            total += float(self.logp[sentence, before, last, token])
            before, last = last, token
        return total / length_norm(len(tokens) + 1, alpha)


def search(table: Table, rows: list[int], limits: list[int], beam: int, alpha: float):
    settings = DecodeSettings(beam=beam, length_penalty=alpha)
    return beam_search(table.step, table.start(rows), torch.tensor(limits), settings)


def all_sequences(limit: int):
    words = range(len(SPECIALS), V)
    return [tokens for n in range(limit + 1) for tokens in itertools.product(words, repeat=n)]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_what_exhaustive_search_finds(seed, alpha):
    table, limit = Table(2, seed), 4
    everything = all_sequences(limit)
    found = search(table, [0, 1], [limit, limit], len(everything), alpha)
    for sentence in range(2):
        best = max(everything, key=lambda tokens: table.score(sentence, tokens, alpha))
        assert tuple(found[sentence][0].tokens) == best
        assert found[sentence][0].score == pytest.approx(table.score(sentence, best, alpha))
        assert len(found[sentence]) == len(everything)


@pytest.mark.parametrize("seed", range(8))
def test_a_beam_of_one_is_greedy_search(seed):
    table, limit = Table(1, seed), 6
    tokens, before, last = [], BOS, BOS
    while len(tokens) < limit:
        token = int(table.logp[0, before, last].argmax())
        if token == EOS:
            break
        tokens.append(token)
        before, last = last, token
    assert search(table, [0], [limit], 1, 0.6)[0][0].tokens == tokens


@pytest.mark.parametrize("beam", [1, 2, 3, 7])
def test_a_sentence_does_not_depend_on_its_neighbours(beam):
    table = Table(5, 3)
    limits = [6, 1, 4, 0, 6]
    together = search(table, list(range(5)), limits, beam, 0.6)
    for sentence, limit in enumerate(limits):
        alone = search(table, [sentence], [limit], beam, 0.6)[0]
        assert [(f.tokens, f.score) for f in alone] == [(f.tokens, f.score) for f in together[sentence]]
    order = [4, 2, 0, 3, 1]
    turned = search(table, order, [limits[n] for n in order], beam, 0.6)
    for place, sentence in enumerate(order):
        assert [f.tokens for f in turned[place]] == [f.tokens for f in together[sentence]]


@pytest.mark.parametrize("beam", [1, 3])
def test_hypotheses_keep_their_limits_scores_and_attention(beam):
    table = Table(3, 11)
    for sentence, hypotheses in enumerate(search(table, [0, 1, 2], [2, 3, 5], beam, 0.6)):
        assert 1 <= len(hypotheses) <= beam
        assert [f.score for f in hypotheses] == sorted((f.score for f in hypotheses), reverse=True)
        for found in hypotheses:
            assert len(found.tokens) <= [2, 3, 5][sentence]
            assert not set(found.tokens) & {0, 1, 2, 3}
            assert found.score == pytest.approx(table.score(sentence, tuple(found.tokens), 0.6))
            # This model attends to the token it has just read.
            assert found.weights_TS.argmax(-1).tolist() == [BOS, *found.tokens][: len(found.tokens)]
