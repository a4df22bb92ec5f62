"""Language models over the unit `hybrid`: what a spelled token costs, whatever the batch, and what is written."""

import itertools
import math

import numpy as np
import pytest
import torch
from builders import text_dataset

from unroll.evaluation.inside.look import look_inside
from unroll.kinds.generation import Sampling
from unroll.kinds.language_model import predictor as predictor_module
from unroll.kinds.language_model import spelling as spelling_module
from unroll.kinds.language_model.network import LanguageModel
from unroll.kinds.language_model.predictor import LanguageModelPredictor
from unroll.kinds.language_model.settings import LanguageModelBatches, LanguageModelSettings
from unroll.kinds.language_model.spelling import Spelling, spelled_tokens
from unroll.kinds.language_model.task import Task
from unroll.text.settings import HybridField
from unroll.text.specials import BOS, EOS, PAD, UNK
from unroll.text.units.hybrid import LONGEST
from unroll.text.vocabulary import build_vocabulary

CPU = torch.device("cpu")
TEXTS = [
    "the cat sat, the cat ran",
    "a",
    "the",
    "zebra",
    "the mat\nand slept",
    "q q",
    "unbelievably rare words, the " * 3,
]
UNIT = {"unit": "hybrid", "max_words": 3, "min_char_count": 2}  # the, and two of and after the comma; q is unknown
CONTEXTS = ["text", "stream"]


def settings(**more):
    stated = {"kind": "language_model", "cell": "gru", "embedding": 5, "hidden": 8, "layers": 2}
    return LanguageModelSettings(**stated, spelling={"embedding": 3, "hidden": 6}, **more)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return text_dataset(tmp_path_factory.mktemp("texts"), TEXTS, UNIT)


def vocabulary_of(texts=TEXTS, **unit):
    return build_vocabulary(texts, HybridField(**(UNIT | unit)))


def predictor(context="text", vocabulary=None, **more):
    torch.manual_seed(1)
    vocabulary = vocabulary or vocabulary_of()
    network = LanguageModel(settings(**more), len(vocabulary), len(vocabulary.characters)).double()
    with torch.no_grad():
        network.output.bias[UNK] = 1.0
    return LanguageModelPredictor(network, vocabulary, context, CPU)


def lstm(layer, x_I, state):
    """i, f, o = σ(W x + b + U h + c), g = tanh(W x + b + U h + c), c' = f c + i g, h' = o tanh c'."""
    w, u, b, c = layer.cell.weights()
    h_H, c_H = state
    i, f, g, o = (w @ x_I + b + u @ h_H + c).chunk(4)
    c_H = torch.sigmoid(f) * c_H + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c_H), c_H


def read_by_hand(spelling, characters):
    state = (torch.zeros(6, dtype=torch.float64),) * 2
    for c in characters:
        state = lstm(spelling.reader, spelling.embedding.weight[c], state)
    return spelling.project(state[0])


def spell_by_hand(spelling, read_D, characters):
    """-log p(characters, end | what the words' output reads)."""
    nats, last = 0.0, BOS
    state = torch.tanh(spelling.start(read_D)), torch.zeros(6, dtype=torch.float64)
    for c in [*characters, EOS]:
        state = lstm(spelling.writer, spelling.embedding.weight[last], state)
        nats -= spelling.output(state[0]).log_softmax(-1)[c].item()
        last = c
    return nats


@torch.no_grad()
def by_hand(model, texts):
    """One token at a time, one text at a time."""
    network, vocabulary, totals, state, last = model.network, model.vocabulary, [], None, EOS
    for text in texts:
        if model.context == "text":
            state, last = None, EOS
        nats = 0.0
        for token in [*vocabulary.encode(text).tolist(), EOS]:
            spelled = last >= len(vocabulary)
            x_E = (
                read_by_hand(network.spelling, vocabulary.spelling(last)) if spelled else network.embedding.weight[last]
            )
            top_11O, state = network.recurrent(x_E.view(1, 1, -1), state)
            read_D = network.project(top_11O)[0, 0]
            logp_V = network.output(read_D).log_softmax(-1)
            if token < len(vocabulary):
                nats -= logp_V[token].item()
            else:
                nats += spell_by_hand(network.spelling, read_D, vocabulary.spelling(token)) - logp_V[UNK].item()
            last = token
        totals.append(nats)
    return totals


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("more", [{}, {"tied": True}])
def test_scores_are_unk_and_characters_one_after_the_other(context, more, monkeypatch):
    model = predictor(context, **more)
    expected = by_hand(model, TEXTS)
    for rows, steps, tokens in ((64, 512, 1024), (2, 3, 2), (3, 1, 1)):
        monkeypatch.setattr(predictor_module, "ROWS", rows)
        monkeypatch.setattr(predictor_module, "STEPS", steps)
        monkeypatch.setattr(spelling_module, "TOKENS", tokens)
        scores = model.score(TEXTS)
        assert [score.nats for score in scores] == pytest.approx(expected, rel=1e-10)
        assert [score.tokens for score in scores] == [len(model.vocabulary.encode(text)) + 1 for text in TEXTS]


def test_a_text_scores_the_same_alone_and_among_others_and_whatever_was_met_before():
    together = predictor().score(TEXTS)
    for text, score in zip(TEXTS, together, strict=True):
        assert predictor().score([text])[0].nats == pytest.approx(score.nats, rel=1e-12)
    model = predictor()
    model.score(["other rare words came first"])
    assert [score.nats for score in model.score(TEXTS[::-1])] == pytest.approx([s.nats for s in together[::-1]])


def task(data, **batches):
    torch.manual_seed(1)
    made = Task(settings(), LanguageModelBatches(**batches), data, CPU)
    made.network.double()
    return made


def losses(made):
    carry, nats, tokens = None, 0.0, 0
    for batch in made.batches(np.random.default_rng(1)):
        loss, carry = made.loss(batch, carry)
        loss.nats.backward()
        nats, tokens = nats + loss.nats.item(), tokens + loss.tokens
    return nats, tokens, torch.cat([p.grad.flatten() for p in made.network.parameters()])


@pytest.mark.parametrize(
    "batches",
    [
        {"context": "text", "batch_size": 1},
        {"context": "text", "batch_size": 3},
        {"context": "text", "batch_size": 3, "padding": "pack"},
        {"context": "stream", "batch_size": 1, "bptt": 4},
        {"context": "stream", "batch_size": 1, "bptt": 100},
    ],
)
def test_the_loss_is_what_the_scores_say(data, batches):
    made = task(data, **batches)
    nats, tokens, _ = losses(made)
    model = LanguageModelPredictor(made.network, vocabulary_of(), batches["context"], CPU)
    scores = model.score(TEXTS)
    assert tokens == sum(score.tokens for score in scores)
    assert nats == pytest.approx(sum(score.nats for score in scores), rel=1e-12)


def test_batching_and_padding_change_no_gradient(data):
    results = [
        losses(task(data, context="text", batch_size=size, padding=p)) for size in (1, 3, 9) for p in ("mask", "pack")
    ]
    for nats, _, gradient in results[1:]:
        assert nats == pytest.approx(results[0][0], rel=1e-12)
        torch.testing.assert_close(gradient, results[0][2], rtol=1e-9, atol=1e-12)


def test_smoothing_concerns_words_alone(data):
    made = task(data, context="text", batch_size=9, label_smoothing=0.1)
    (piece,) = made.batches(np.random.default_rng(1))
    loss, _ = made.loss(piece, None)
    logp = made.network.output(made.network(piece.segment.inputs, spelled=piece.spelled).read_BTD).log_softmax(-1)
    mask, targets = piece.segment.mask, made.network.closed(piece.segment.targets)
    target = logp.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(loss.extra, (0.1 * (target - logp.mean(-1)))[mask].sum())
    made.network.eval()
    assert made.loss(piece, None)[0].nats.item() == pytest.approx(loss.nats.item(), rel=1e-12)


def test_padding_and_company_change_no_spelling():
    torch.manual_seed(1)
    spelling = Spelling(settings().spelling, 9, 4, 7).double()
    names = {10: [5], 11: [4, 6, 8, 8, 4], 12: [7, 1]}
    read_ND = torch.randn(3, 7, dtype=torch.float64)
    together = spelled_tokens([torch.tensor([12, 3, 10]), torch.tensor([[11, 9]])], 10, lambda n: np.array(names[n]))
    vectors_NE, written = spelling.read(together), spelling.write(read_ND, together, torch.tensor([12, 10, 11]))
    assert written.tokens_M.tolist() == [0] * 3 + [1] * 2 + [2] * 6
    assert written.targets_M.tolist() == [7, 1, EOS, 5, EOS, 4, 6, 8, 8, 4, EOS]
    for place, (n, characters) in enumerate(names.items()):
        torch.testing.assert_close(vectors_NE[place], read_by_hand(spelling, characters))
        row = [12, 10, 11].index(n)
        logp = spelling.output(written.read_MH).log_softmax(-1)
        nats = -logp.gather(1, written.targets_M.unsqueeze(1))[written.tokens_M == row].sum().item()
        assert nats == pytest.approx(spell_by_hand(spelling, read_ND[row], characters), rel=1e-12)
    assert spelled_tokens([torch.tensor([3, 9])], 10, names.get) is None


def test_the_probabilities_of_all_spellings_add_up_to_one():
    torch.manual_seed(1)
    spelling = Spelling(settings().spelling, 7, 4, 7).double()
    with torch.no_grad():
        spelling.output.bias[EOS] = 2.5
    read_1D, mass = torch.randn(1, 7, dtype=torch.float64), 0.0
    masses = []
    for length in range(6):
        strings = [list(s) for s in itertools.product([PAD, UNK, BOS, 4, 5, 6], repeat=length)]
        if not length:  # the empty string, which no token is
            mass += math.exp(-spell_by_hand(spelling, read_1D[0], []))
        else:
            spelled = spelled_tokens([torch.arange(len(strings))], 0, lambda n, s=strings: np.array(s[n]))
            written = spelling.write(read_1D.expand(len(strings), -1), spelled, torch.arange(len(strings)))
            logp = spelling.output(written.read_MH).log_softmax(-1).gather(1, written.targets_M.unsqueeze(1))[:, 0]
            mass += (
                torch.zeros(len(strings), dtype=torch.float64).index_add(0, written.tokens_M, logp).exp().sum().item()
            )
        masses.append(mass)
    assert masses == sorted(masses)
    assert 0.99 < masses[-1] <= 1


@pytest.mark.parametrize("max_words", [0, 1, 9])
def test_what_texts_are_charged_is_a_code(max_words):
    """Kraft's inequality, over all short texts of some letters: one unknown, and signs of the tokenizer itself."""
    model = predictor(vocabulary=vocabulary_of(["ab ab aab a a"], max_words=max_words, min_char_count=1))
    with torch.no_grad():
        model.network.output.bias[EOS] = 2.0
        model.network.spelling.output.bias[EOS] = 1.0
    texts = ["".join(text) for n in range(5) for text in itertools.product("ab ￭.", repeat=n)]
    others = 0x110000 - len(model.vocabulary.characters.characters)
    charge = [model.vocabulary.unknown_nats(text) - text.count(".") * math.log(others) for text in texts]
    assert charge == pytest.approx([0.0] * len(texts))  # the full stop stands for all unknown characters at once
    total = math.fsum(math.exp(-score.nats) for score in model.score(texts))
    assert 0.5 < total <= 1


def brief():
    """A model whose words end soon."""
    model = predictor("stream")
    with torch.no_grad():
        model.network.spelling.output.bias[EOS] = 2.0
    return model


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.5, top_k=3), Sampling(top_p=0.5)])
def test_nothing_that_is_written_is_unknown(sampling):
    model, again = brief(), brief()
    texts = model.generate(["the ", "zebra "], max_tokens=40, sampling=sampling, seed=3)
    assert model.vocabulary.spelled
    assert all("<unk>" not in text for text in texts)
    again.score(["other rare words have come first"])
    assert "".join(again.stream("zebra ", 40, sampling, (3, 1))) == texts[1].removeprefix("zebra ")
    assert model.generate(["zebra "], max_tokens=40, sampling=sampling, seed=3) != texts[1:]


def test_what_is_written_follows_the_distribution():
    """The first token: a word counts whether it was chosen whole or spelled."""
    model = predictor(vocabulary=vocabulary_of(["b a b"], max_words=1))
    spelling, characters = model.network.spelling, model.vocabulary.characters
    with torch.no_grad():
        spelling.output.bias[EOS] = 2.0
    nothing = np.zeros(0, dtype=np.int64)
    drawn = [next(model.sample(nothing, 1, Sampling(), np.random.default_rng(n)), EOS) for n in range(1500)]
    read_D = model.network(torch.tensor([[EOS]])).read_BTD[0, 0]
    unk, end, whole = model.network.output(read_D)[[UNK, EOS, 4]].softmax(-1).tolist()
    (b,) = characters.encode("b").tolist()
    state, p_spelled = (torch.tanh(spelling.start(read_D)), torch.zeros(6, dtype=torch.float64)), 1.0
    for last, following, never in ((BOS, b, [PAD, UNK, BOS, EOS]), (b, EOS, [PAD, UNK, BOS])):
        state = lstm(spelling.writer, spelling.embedding.weight[last], state)
        logits_C = spelling.output(state[0]).detach().clone()
        logits_C[never] = -torch.inf
        p_spelled *= logits_C.softmax(-1)[following].item()
    expected = {EOS: end, 4: whole + unk * p_spelled}
    assert unk * p_spelled > 0.01
    for token, p in expected.items():
        assert abs(drawn.count(token) - 1500 * p) < 4 * math.sqrt(1500 * p * (1 - p))


def test_a_word_that_does_not_end_is_ended():
    model = predictor()
    with torch.no_grad():
        model.network.output.bias[UNK] = 1e3
        model.network.spelling.output.bias[EOS] = -1e3
    tokens = list(model.sample(np.zeros(0, dtype=np.int64), 3, Sampling(), np.random.default_rng(1)))
    assert [len(model.vocabulary.tokens([n])[0]) for n in tokens] == [LONGEST] * 3


@pytest.mark.parametrize("context", ["stream", "text"])
def test_the_inside_of_a_model_that_spells_can_be_seen(context):
    model = predictor(context)
    ids = torch.from_numpy(model.vocabulary.encode(TEXTS[0])).unsqueeze(0)
    spelled = model.spelled(ids)
    assert spelled is not None
    zero = tuple(layer.initial(torch.zeros(1, 1, 1, dtype=torch.float64)) for layer in model.network.layers)
    _, read = model.network.trace(ids, zero, spelled)
    torch.testing.assert_close(read, model.network(ids, spelled=spelled).read_BTD)
    trained = np.concatenate([model.vocabulary.encode(text) for text in TEXTS])
    found = look_inside(model, TEXTS, trained, lags=4)
    assert {"gradients.csv", "units.html", "neighbours.html"} <= found.keys()
