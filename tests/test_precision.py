"""Training in bfloat16: products alone are narrower, and what is learned is the same within a few per cent."""

import pytest
import torch
from builders import image_dataset, pair_dataset, text_dataset, trained
from torch.nn import functional as F

from unroll.files import read_json
from unroll.kinds import load_model
from unroll.nn.cells import make_cell
from unroll.nn.losses import linear_cross_entropy
from unroll.nn.precision import precision_on, product_type, products_in
from unroll.nn.recurrent import Layer
from unroll.nn.settings import CellSettings, DropoutSettings
from unroll.nn.steps import gru_steps
from unroll.params import CaptionerRun, LanguageModelRun, Seq2SeqRun
from unroll.training import loop

CPU = torch.device("cpu")
ROUNDED = 2.0**-8  # what a number loses at most as bfloat16, relative to it


def narrow():
    return products_in("bfloat16", CPU)


def close(found, expected, share):
    """Apart by at most a share of the largest."""
    assert found.dtype == expected.dtype == torch.float32
    assert (found - expected).abs().max().item() <= share * expected.abs().max().item()


@pytest.mark.parametrize("lengths", [None, [3, 12, 1, 7]])
@pytest.mark.parametrize("cell", ["elman", "jordan", "gru"])
def test_a_gradient_by_hand_is_as_near_to_that_of_float32_as_products_in_bfloat16_allow(cell, lengths):
    torch.manual_seed(1)
    layer = Layer(make_cell(CellSettings(cell=cell), 16, 24), DropoutSettings())
    x, state = torch.randn(4, 12, 16, requires_grad=True), (torch.randn(4, 24, requires_grad=True),)
    lengths_B = None if lengths is None else torch.tensor(lengths)
    given = [x, *state, *layer.parameters()]

    def computed(way, context):
        with context:
            y, (last,) = layer.run(way, x, state, lengths_B)
        weighed = (y * torch.arange(y.numel()).view_as(y).sin()).sum() + last.pow(2).sum()
        return [y, last, *torch.autograd.grad(weighed, given)]

    exact = computed("steps", products_in("float32", CPU))
    ticks, steps = computed("ticks", narrow()), computed("steps", narrow())
    assert any(not torch.equal(a, b) for a, b in zip(exact, steps, strict=True))
    for found, expected in zip(steps, exact, strict=True):
        close(found, expected, 8 * ROUNDED)
    for found, expected in zip(ticks, exact, strict=True):
        close(found.float(), expected, 8 * ROUNDED)  # what autograd makes of them is no nearer


def test_a_gradient_by_hand_does_not_depend_on_where_it_is_asked_for():
    """Nor does one of what was computed in float32, under autocast."""
    _, u_GH, b_G, c_G = make_cell(CellSettings(cell="gru"), 8, 8).weights()
    for before in ("float32", "bfloat16"):
        found = []
        for after in ("float32", "bfloat16"):
            a_TBG = torch.randn(5, 2, 24, generator=torch.Generator().manual_seed(1), requires_grad=True)
            with products_in(before, CPU):
                y = gru_steps(a_TBG, torch.zeros(2, 8), u_GH, b_G, c_G, None)
            with products_in(after, CPU):
                found.append(torch.autograd.grad(y.sum(), a_TBG)[0])
        assert torch.equal(*found)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("read_in", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [31, 32, 40])
def test_the_fused_loss_is_that_of_scores_in_bfloat16_and_a_softmax_in_float32(smoothing, read_in, width):
    torch.manual_seed(1)
    h, targets = torch.randn(700, width).to(read_in).requires_grad_(), torch.randint(50, (700,))
    weight, bias = torch.randn(50, width, requires_grad=True), torch.randn(50, requires_grad=True)
    h_rounded, weight_rounded, bias_rounded = (x.bfloat16().float() for x in (h, weight, bias))
    scores = (h_rounded @ weight_rounded.t() + bias_rounded).bfloat16().float()
    apart = F.cross_entropy(scores, targets, reduction="sum", label_smoothing=smoothing)
    with narrow():
        loss = linear_cross_entropy(h, weight, bias, targets, smoothing)
    assert loss.nats.dtype == torch.float32
    torch.testing.assert_close(loss.nats + loss.extra, apart)
    found, expected = (torch.autograd.grad(total, (h, weight, bias)) for total in (loss.nats + loss.extra, apart))
    assert [one.dtype for one in found] == [read_in, torch.float32, torch.float32]
    for one, other in zip(found, expected, strict=True):
        close(one.float(), other.float(), 2 * ROUNDED)


def test_float64_stays_float64():
    with narrow():
        assert product_type(torch.zeros(1, dtype=torch.float64)) == torch.float64
        assert product_type(torch.zeros(1)) == torch.bfloat16
    assert product_type(torch.zeros(1)) == torch.float32


def test_auto_is_float32_on_the_cpu():
    assert precision_on(CPU, "auto") == "float32"
    assert precision_on(CPU, "bfloat16") == "bfloat16"


TEXTS = [f"the {a} {b} the {c} ." for a in ("cat", "dog", "hen") for b in ("sees", "bites") for c in ("cow", "fox")]


def text_run(model, **train):
    return LanguageModelRun.model_validate({
        "dataset": "tiny", "init": "scratch", "seed": 1, "evaluate": {},
        "model": {"kind": "language_model", "embedding": 16, "hidden": 24, "layers": 2, "dropout": 0.1, **model},
        "train": {"context": "text", "batch_size": 4, "lr": 0.01, "steps": 25, **train},
    })  # fmt: skip


def pair_run(model, **train):
    return Seq2SeqRun.model_validate({
        "dataset": "tiny", "init": "scratch", "seed": 1, "evaluate": {"metric": "bleu"},
        "model": {"kind": "seq2seq", "embedding": 16, "hidden": 24, **model},
        "train": {"batch_size": 4, "lr": 0.01, "steps": 25, **train},
    })  # fmt: skip


def caption_run(model):
    return CaptionerRun.model_validate({
        "dataset": "tiny", "init": "scratch", "seed": 1, "evaluate": {},
        "model": {"kind": "captioner", "embedding": 16, "hidden": 24, "channels": [4, 8], **model},
        "train": {"batch_size": 6, "lr": 0.01, "steps": 15},
    })  # fmt: skip


RUNS = {
    **{cell: ("texts", text_run({"cell": cell})) for cell in ("elman", "jordan", "gru", "lstm")},
    "layer norm": ("texts", text_run({"cell": "gru", "layer_norm": True})),
    "stream": ("texts", text_run({"cell": "lstm", "dropout": {"recurrent": 0.1}}, context="stream", bptt=6)),
    "penalties": ("texts", text_run({"cell": "lstm"}, label_smoothing=0.1, change_penalty=1.0)),
    "adaptive": ("texts", text_run({"cell": "gru", "adaptive_softmax": [6, 10]})),
    "sampled": ("texts", text_run({"cell": "gru"}, sampled_softmax=8)),
    "spelling": ("rare", text_run({"cell": "lstm", "spelling": {"embedding": 6, "hidden": 10}})),
    **{f"pairs {cell}": ("pairs", pair_run({"cell": cell}, padding="pack")) for cell in ("elman", "jordan", "lstm")},
    "additive": ("pairs", pair_run({"cell": "gru", "attention": "additive", "input_feeding": True})),
    "coverage": ("pairs", pair_run({"cell": "gru", "attention": "additive", "past": "coverage"}, coverage_loss=0.5)),
    "temporal": ("pairs", pair_run({"cell": "gru", "past": "temporal", "sentences": True})),
    "heads": ("pairs", pair_run({"cell": "lstm", "attention": "multi-head"}, scheduled_sampling=0.2)),
    "pointer": ("shared", pair_run({"cell": "gru", "pointer": "mixture"}, label_smoothing=0.1)),
    **{way: ("images", caption_run({"cell": "lstm", "image": way})) for way in ("first-token", "initial-state")},
    "grid": ("images", caption_run({"cell": "gru", "image": "attention", "attention": "additive"})),
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    pairs = [(text, " ".join(text.split()[::-1])) for text in TEXTS]
    return {
        "texts": text_dataset(folder / "texts", TEXTS, {"unit": "word"}),
        "rare": text_dataset(folder / "rare", TEXTS, {"unit": "hybrid", "max_words": 6}),
        "pairs": pair_dataset(folder / "pairs", pairs),
        "shared": pair_dataset(folder / "shared", pairs, shared=True),
        "images": image_dataset(folder / "images"),
    }


def in_precision(run, precision):
    return run.model_copy(update={"train": run.train.model_copy(update={"precision": precision})})


@pytest.mark.parametrize("name", RUNS)
def test_what_is_learned_is_the_same_within_five_per_cent(datasets, tmp_path, name):
    """Of the loss on the validation split, which is computed in float32, as is all that the finished model says."""
    dataset, run = RUNS[name]
    found = {}
    for precision in ("float32", "bfloat16"):
        trained(tmp_path / precision, "run", in_precision(run, precision), datasets[dataset])
        found[precision] = read_json(tmp_path / precision / "models" / "run" / "bundle.json")
        assert found[precision]["precision"] == precision
    losses = [one["best"]["valid_loss"] for one in found.values()]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    if dataset == "texts" and run.train.context == "text":
        model = load_model(tmp_path / "bfloat16" / "models" / "run", CPU)
        assert all(p.dtype == torch.float32 for p in model.network.parameters())
        scores = model.score(datasets[dataset].raw_texts("valid", "text"))
        mean = sum(score.nats for score in scores) / sum(score.tokens for score in scores)
        assert mean == pytest.approx(losses[1], rel=1e-5)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("name", ["gru", "stream", "additive"])
def test_an_interrupted_training_ends_with_the_same_bits(datasets, tmp_path, monkeypatch, name):
    dataset, run = RUNS[name]
    run = in_precision(run, "bfloat16")
    trained(tmp_path / "whole", "run", run, datasets[dataset])
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    update = loop.Trainer._update

    def broken(trainer, batches):
        if trainer.step == 11:
            raise StoppedError
        update(trainer, batches)

    monkeypatch.setattr(loop.Trainer, "_update", broken)
    with pytest.raises(StoppedError):
        trained(tmp_path / "broken", "run", run, datasets[dataset])
    monkeypatch.setattr(loop.Trainer, "_update", update)
    trained(tmp_path / "broken", "run", run, datasets[dataset])
    whole, broken = ((tmp_path / place / "models" / "run" / "weights.safetensors").read_bytes()
                     for place in ("whole", "broken"))  # fmt: skip
    assert whole == broken


def test_a_checkpoint_of_another_precision_is_named_and_not_used(datasets, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    dataset, run = RUNS["gru"]
    trained(tmp_path, "run", run, datasets[dataset])
    trained(tmp_path, "run", in_precision(run, "bfloat16"), datasets[dataset])
    assert 'runs.run.train.precision was not stated and is "bfloat16"' in capsys.readouterr().err


def test_there_is_no_other_precision():
    with pytest.raises(ValueError, match="'auto', 'float32' or 'bfloat16'"):
        text_run({"cell": "gru"}, precision="float16")
