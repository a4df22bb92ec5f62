"""Candidates and what is barred from being one, against plain code."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.kinds.seq2seq.candidates import best
from unroll.kinds.seq2seq.penalties import bar_repeats


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 12), st.integers(0, 10**6), st.booleans(), st.booleans())
def test_the_best_candidates_are_those_of_sorting_everything(size, beam, count, seed, ties, barred):
    random = torch.Generator().manual_seed(seed)
    logp = torch.randn(2, beam, size, generator=random)
    if ties:  # the first hypothesis and the lowest id come first, which a boundary between equal ones may cut
        logp = logp.round()
        count = beam * size
    if barred:
        logp[..., ::3] = -torch.inf
    before = torch.randn(2, beam, generator=random, dtype=torch.float64).round()
    before[:, -1] = -torch.inf if barred and beam > 1 else 0.0
    found = best(logp, before, count)
    for b in range(2):
        everything = [(-float(before[b, k] + logp[b, k, v].double()), k, v) for k in range(beam) for v in range(size)]
        expected = [(k, v) for score, k, v in sorted(everything)[:count] if score < torch.inf]
        got = list(zip(found.parents_BC[b].tolist(), found.ids_BC[b].tolist(), strict=True))
        assert got[: len(expected)] == expected
        assert (found.logp_BC[b, len(expected) :] == -torch.inf).all()
        assert all(0 <= v < size for _, v in got)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.integers(0, 12), st.integers(0, 10**6))
def test_what_is_barred_is_what_would_repeat_an_n_gram(n, time, seed):
    random = torch.Generator().manual_seed(seed)
    said = torch.randint(0, 3, (2, 2, time), generator=random)
    logp = torch.zeros(2, 2, 3)
    bar_repeats(logp, said, n)
    for b in range(2):
        for k in range(2):
            tokens = said[b, k].tolist()
            grams = {tuple(tokens[t : t + n]) for t in range(time - n + 1)}
            for v in range(3):
                repeated = time >= n - 1 and tuple([*tokens, v][-n:]) in grams
                assert (float(logp[b, k, v]) == -torch.inf) == repeated
