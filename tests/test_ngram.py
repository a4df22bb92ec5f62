"""Modified Kneser-Ney against its formulas written out, by hand, and against KenLM."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.kinds.ngram import model as model_module
from unroll.kinds.ngram.counts import count_orders, count_shard, merged, read_tokens, shards_of
from unroll.kinds.ngram.estimate import FALLBACK, discounts_of, estimate
from unroll.text.specials import BOS, EOS, PAD, UNK

V = 30
WORDS = [UNK, 4, 5, 6, 7, 8]
MANY_WORDS = [UNK, *range(4, 29)]  # 29 is in the vocabulary and in no text


def tokens_of(texts, context):
    rows = [[*text, EOS] for text in texts]
    return read_tokens(np.array([n for row in rows for n in row]), np.array([len(row) for row in rows]), context)


def models(texts, order, context, vocabulary=V):
    return list(estimate(list(count_orders(tokens_of(texts, context), order, vocabulary)), vocabulary))


class Formulas:
    """Chen and Goodman (1998), one n-gram at a time; a text's first token is context and never predicted."""

    def __init__(self, texts, order, context):
        self.order = order
        self.count = defaultdict(Counter)
        self.before = defaultdict(set)
        for sequence in self.sequences(texts, context):
            for end in range(2, len(sequence) + 1):
                for n in range(1, min(order, end) + 1):
                    gram = sequence[end - n : end]
                    self.count[n][gram] += 1
                    # The beginning of a text is one more thing to come before; with <s> each is another.
                    first = ("first", end if context == "stream" else len(self.before[gram]))
                    self.before[gram].add(sequence[end - n - 1] if end > n else first)
        self.discounts = [self.discount(n) for n in range(order + 1)]

    @staticmethod
    def sequences(texts, context):
        if context == "text":
            return [(BOS, *text, EOS) for text in texts]
        return [(EOS, *(n for text in texts for n in (*text, EOS)))]

    def adjusted(self, gram):
        return self.count[self.order][gram] if len(gram) == self.order else len(self.before.get(gram, ()))

    def discount(self, n):
        t = Counter(self.adjusted(gram) for gram in self.count[n])
        if not (t[1] and t[2] and t[3]):
            return (0, *FALLBACK)
        y = t[1] / (t[1] + 2 * t[2])
        found = (0, 1 - 2 * y * t[2] / t[1], 2 - 3 * y * t[3] / t[2], 3 - 4 * y * t[4] / t[3])
        return found if all(0 < d <= k for k, d in enumerate(found) if k) else (0, *FALLBACK)

    def p(self, word, context):
        n = len(context) + 1
        after = {gram[-1]: self.adjusted(gram) for gram in self.count[n] if gram[:-1] == context}
        below = 1 / (V - 2) if n == 1 else self.p(word, context[1:])
        if not after:
            return below
        cut = {w: self.discounts[n][min(a, 3)] for w, a in after.items()}
        total = sum(after.values())
        return (after.get(word, 0) - cut.get(word, 0)) / total + sum(cut.values()) / total * below


small = st.lists(st.lists(st.sampled_from(WORDS), max_size=6), min_size=1, max_size=8)
contexts = st.sampled_from(["text", "stream"])


def larger_texts(seed):
    """Enough text, of words that differ much in number, for discounts to be defined."""
    random = np.random.default_rng(seed)
    ranks = [random.zipf(1.3, random.integers(0, 9)) for _ in range(random.integers(10, 40))]
    return [[MANY_WORDS[n] for n in (np.minimum(row, len(MANY_WORDS)) - 1).tolist()] for row in ranks]


larger = st.integers(0, 10_000).map(larger_texts)


@settings(deadline=None, max_examples=150)
@given(st.one_of(small, larger), st.integers(1, 5), contexts, st.lists(st.sampled_from(WORDS), max_size=5))
def test_probabilities_are_those_of_the_formulas(texts, order, context, unseen):
    *_, model = models(texts, order, context)
    formulas = Formulas(texts, order, context)
    first = BOS if context == "text" else EOS
    for history in {(first, *unseen), *((first, *text[:n]) for text in texts[:3] for n in range(len(text) + 1))}:
        found = 10 ** model.distribution(np.array(history))
        window = history[len(history) - min(order - 1, len(history)) :]
        expected = [0 if w in (PAD, BOS) else formulas.p(w, window) for w in range(V)]
        np.testing.assert_allclose(found, expected, rtol=3e-6)
        assert found.sum() == pytest.approx(1, abs=1e-5)


@settings(deadline=None, max_examples=100)
@given(st.one_of(small, larger), small, st.integers(1, 5), contexts)
def test_a_token_costs_what_the_distribution_after_its_context_says(texts, others, order, context):
    *_, model = models(texts, order, context)
    tokens = tokens_of(others, context)
    found, place = model.nats(tokens), 0
    for sequence in Formulas.sequences(others, context):
        assert found[place] == 0
        for n in range(1, len(sequence)):
            expected = -model.distribution(np.array(sequence[:n]))[sequence[n]] * math.log(10)
            assert found[place + n] == pytest.approx(expected, rel=1e-9)
        place += len(sequence)


def test_discounts_by_hand():
    assert discounts_of(np.array([1, 1, 1, 1, 2, 2, 3, 4, 7, 0])) == pytest.approx([0, 0.5, 1.25, 1])
    assert discounts_of(np.array([1, 1, 2, 4])) is None  # nothing occurs three times
    assert discounts_of(np.array([1, 2, 3, 3, 3])) is None  # D(2) would be negative
    assert discounts_of(np.array([1, 2, 3, 4, 4, 4, 4])) is None  # D(3) would be negative
    assert discounts_of(np.array([], dtype=np.int64)) is None


def test_the_larger_texts_of_these_tests_mostly_define_discounts():
    fallbacks = [models(larger_texts(seed), 3, "text")[-1].fallbacks for seed in range(50)]
    assert sum(not found for found in fallbacks) > 10
    assert all(sum(n not in found for found in fallbacks) > 20 for n in (1, 2, 3))


def test_unigrams_by_hand():
    (model,) = models([[4, 4, 5]], 1, "text", vocabulary=6)
    # Counts 2, 1 and 1 of four, cut by 1, 0.5 and 0.5; the 2 that are cut go to four tokens alike.
    p = 10 ** model.distribution(np.array([BOS]))
    assert p == pytest.approx([0, 0.125, 0, 0.25, 0.375, 0.25], rel=1e-6)
    assert model.fallbacks == (1,)


def test_a_stream_reaches_over_the_end_of_a_text_and_single_texts_do_not():
    texts = [[4, 5], [6]] * 20 + [[7, 5], [8]] * 20
    *_, stream = models(texts, 4, "stream")
    *_, apart = models(texts, 4, "text")
    assert 10 ** stream.distribution(np.array([4, 5, EOS]))[6] > 0.9
    assert 10 ** stream.distribution(np.array([7, 5, EOS]))[8] > 0.9
    nats = [stream.nats(tokens_of(pair, "stream"))[4] for pair in ([[4, 5], [6]], [[7, 5], [6]])]
    assert nats[0] < 0.1 and nats[1] > 2
    nats = [apart.nats(tokens_of(pair, "text"))[5] for pair in ([[4, 5], [6]], [[7, 5], [6]])]
    assert nats[0] == nats[1]


def test_shorter_orders_come_on_the_way_as_if_asked_for():
    texts = [[4, 5, 6, 4, 5], [5, 6, 7], [4, 5, 7, 8]]
    for order, found in enumerate(models(texts, 4, "text"), start=1):
        *_, alone = models(texts, order, "text")
        for table, other in zip(found.tables, alone.tables, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(vars(table).values(), vars(other).values(), strict=True))


def test_texts_shorter_than_the_order():
    *_, model = models([[4], []], 5, "text")
    assert len(model.tables[4].keys) == 0
    assert max(model.fallbacks) == 3  # the longest n-gram is <s> 4 </s>
    assert np.isfinite(model.nats(tokens_of([[4, 5, 6, 7, 8, 4, 4]], "text"))).all()
    assert (10 ** model.distribution(np.array([BOS, 4, 5, 6, 7]))).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("context", ["text", "stream"])
def test_looking_up_piece_by_piece_changes_nothing(context, monkeypatch):
    random = np.random.default_rng(1)
    texts = [random.choice(WORDS, random.integers(0, 12)).tolist() for _ in range(60)]
    *_, model = models(texts[:40], 4, context)
    whole = model.nats(tokens_of(texts, context))
    for piece in (1, 2, 7, 50):
        monkeypatch.setattr(model_module, "PIECE", piece)
        assert np.array_equal(model.nats(tokens_of(texts, context)), whole)


KENLM_TEXT = [
    "the cat sat on the mat",
    "the dog sat on the cat",
    "a cat and a dog sat",
    "the cat saw the dog",
]
# `lmplz -o 3 --discount_fallback` on that text, then `query -v word`: log10 p of each word and the end.
KENLM_SCORES = {
    "the cat sat on the dog": [
        -0.9410331, -0.3909848, -0.63065577, -0.21306485, -0.14151809, -1.135939, -0.42610168,
    ],
    "a bird saw the mat": [-0.8135593, -1.7505242, -1.0413927, -0.35279688, -1.1559287, -0.13155866],
}  # fmt: skip


def test_the_same_figures_as_kenlm():
    words = sorted({word for text in KENLM_TEXT for word in text.split()})
    ids = {word: n for n, word in enumerate(words, start=4)}
    *_, model = models([[ids[w] for w in text.split()] for text in KENLM_TEXT], 3, "text", len(ids) + 4)
    assert model.fallbacks == (3,)
    for text, expected in KENLM_SCORES.items():
        found = model.nats(tokens_of([[ids.get(w, UNK) for w in text.split()]], "text"))
        assert -found[1:] / math.log(10) == pytest.approx(expected, abs=1e-6)


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        for name in ("keys", "suffix", "count", "leading"):
            ours_N, theirs_N = getattr(ours, name), getattr(theirs, name)
            assert ours_N.dtype == theirs_N.dtype
            assert ours_N.tolist() == theirs_N.tolist()


@settings(max_examples=150, deadline=None)
@given(texts=small, context=contexts, order=st.integers(1, 5), size=st.integers(1, 12))
def test_counts_of_shards_are_those_of_the_whole(texts, context, order, size):
    tokens = tokens_of(texts, context)
    shards = [count_shard(order, V, shard) for shard in shards_of(tokens, order, size)]
    assert len(shards) == max(1, math.ceil(len(tokens) / size))
    assert_same(merged(shards, V), count_orders(tokens, order, V))
