"""Subword regularisation: other pieces each epoch, the same text, the same bits for the same seed."""

import csv

import numpy as np
import pytest
import torch
from builders import dataset

from unroll.params import LanguageModelRun, Seq2SeqRun
from unroll.text.batches import stream_segments
from unroll.text.sampling import SampledDataset
from unroll.text.specials import EOS
from unroll.training import loop
from unroll.training.run import train_run

CPU = torch.device("cpu")
WORDS = ["lower", "lowest", "newer", "newest", "wider", "widest", "ﬁne ▁ Ä"]
TEXTS = [" ".join(WORDS[(n * 5 + k * k) % len(WORDS)] for k in range(2 + n % 5)) for n in range(40)]
UNIGRAM = {"unit": "subword", "max_size": 300}
BPE = {**UNIGRAM, "model": "bpe"}
MODELS = pytest.mark.parametrize("unit", [UNIGRAM, BPE], ids=["unigram", "bpe"])


def texts_of(folder, unit, max_length=1000):
    rows = [(text,) for text in TEXTS]
    return dataset(folder, ["text"], dict.fromkeys(("train", "valid", "test"), rows), {"text": unit}, max_length)


def pairs_of(folder, source, target, max_length=1000):
    rows = [(text, " ".join(reversed(text.split()))) for text in TEXTS]
    fields = {"source": source, "target": target}
    return dataset(folder, ["source", "target"], dict.fromkeys(("train", "valid", "test"), rows), fields, max_length)


def drawn(data, seed, epoch=0, alpha=0.2):
    """The rows of each field in one epoch."""
    split = SampledDataset(data, data.folder.parent / "vocab", alpha).epoch(np.random.default_rng((seed, epoch)))
    return {name: [field.row(n).tolist() for n in range(len(split))] for name, field in split.fields.items()}


@MODELS
def test_the_same_seed_and_epoch_draw_the_same_and_others_others(tmp_path, unit):
    data = texts_of(tmp_path, unit)
    first = drawn(data, 1)
    assert drawn(data, 1) == first
    assert drawn(data, 1, epoch=1) != first
    assert drawn(data, 2) != first


@MODELS
def test_what_is_drawn_is_the_text(tmp_path, unit):
    data = texts_of(tmp_path, unit)
    vocabulary = data.vocabularies["text"]
    plain = [data.train.fields["text"].row(n).tolist() for n in range(len(TEXTS))]
    rows = drawn(data, 1)["text"]
    assert rows != plain
    assert all(row[-1] == EOS and EOS not in row[:-1] for row in rows)
    assert [vocabulary.decode(row) for row in rows] == TEXTS


def test_texts_of_one_epoch_are_drawn_apart(tmp_path):
    """Not each batch of texts with the same numbers."""
    rows = [("newest lowest widest",)] * 3000
    data = dataset(tmp_path, ["text"], {"train": rows, "valid": rows[:1], "test": rows[:1]}, {"text": UNIGRAM}, 100)
    found = drawn(data, 1)["text"]
    assert len({tuple(row) for row in found}) > 5
    assert found[:1024] != found[1024:2048]


def test_a_smaller_alpha_draws_more_freely_from_a_unigram_model(tmp_path):
    data = texts_of(tmp_path, UNIGRAM)
    lengths = [sum(map(len, drawn(data, 1, alpha=alpha)["text"])) for alpha in (0.05, 0.5, 1.0)]
    assert lengths == sorted(lengths, reverse=True)


def test_a_larger_alpha_leaves_more_merges_out_of_a_bpe_model(tmp_path):
    data = texts_of(tmp_path, BPE)
    lengths = [sum(map(len, drawn(data, 1, alpha=alpha)["text"])) for alpha in (0.1, 0.5, 1.0)]
    assert lengths == sorted(lengths)
    assert lengths[-1] >= sum(len(text) + 1 for text in TEXTS)  # without merges: single characters, and the ends


def test_max_length_cuts_what_is_drawn_as_it_does_other_rows(tmp_path):
    data = texts_of(tmp_path, UNIGRAM, max_length=6)
    split = SampledDataset(data, tmp_path / "vocab", 0.2).epoch(np.random.default_rng(1))
    field = split.fields["text"]
    sizes = np.diff(field.offsets)
    assert (sizes > 7).any()
    assert field.lengths.tolist() == np.minimum(sizes, 7).tolist()
    assert field.ids.dtype == data.train.fields["text"].ids.dtype
    assert field.offsets[-1] == len(field.ids)


def test_of_pairs_each_field_of_subwords_is_drawn_and_no_other(tmp_path):
    data = pairs_of(tmp_path, {"unit": "word"}, UNIGRAM)
    plain = [data.train.fields["source"].row(n).tolist() for n in range(len(TEXTS))]
    found = drawn(data, 1)
    assert found["source"] == plain
    assert found["target"] != drawn(data, 2)["target"]
    shared = pairs_of(tmp_path / "shared", UNIGRAM, {"share": "source"})
    first, other = drawn(shared, 1), drawn(shared, 2)
    assert first["source"] != other["source"] and first["target"] != other["target"]


@pytest.mark.parametrize(("tokens", "pieces"), [(97, 5), (97, 32), (30, 7), (12, 9), (5, 9)])
def test_a_stream_in_so_many_segments_is_the_whole_stream(tokens, pieces):
    lanes = 3
    ids = np.arange(4, 4 + tokens)
    segments = list(stream_segments(ids, lanes, 1, pieces))
    width = -(-tokens // lanes)
    assert len(segments) == min(pieces, width)
    sizes = [segment.targets.shape[1] for segment in segments]
    assert max(sizes) - min(sizes) <= 1 and sum(sizes) == width
    targets = torch.cat([segment.targets for segment in segments], dim=1).flatten()
    assert targets[:tokens].tolist() == ids.tolist()


LM = {"kind": "language_model", "cell": "gru", "embedding": 4, "hidden": 8, "dropout": 0.2}
SEQ2SEQ = {"kind": "seq2seq", "cell": "gru", "embedding": 4, "hidden": 8}
TRAIN = {"lr": 0.01, "epochs": 3, "sampling": 0.3, "validate_every": 5}
CASES = {
    "stream": (LanguageModelRun, LM, {"context": "stream", "bptt": 8, "batch_size": 4}, {}),
    "text": (LanguageModelRun, LM, {"context": "text", "batch_size": 8}, {}),
    "pairs": (Seq2SeqRun, SEQ2SEQ, {"batch_size": 8}, {"metric": "bleu"}),
    "pairs by tokens": (Seq2SeqRun, SEQ2SEQ, {"batch_tokens": 90}, {"metric": "bleu"}),
}


def fit(case, data, folder, **changes):
    """Train one of `CASES`; the rows of its history and the bytes of its weights."""
    kind, model, batches, evaluate = CASES[case]
    train = {**batches, **TRAIN, **changes}
    run = kind(dataset="d", init="scratch", model=model, train=train, evaluate=evaluate, seed=3)
    vocab = data.folder.parent / "vocab"
    train_run("r", run, data, vocab, folder / "scratch", [], CPU, folder / "model", folder, folder / "checkpoints")
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return rows, (folder / "model" / "weights.safetensors").read_bytes()


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("case", CASES)
def test_an_interrupted_training_ends_with_the_same_bits(tmp_path, monkeypatch, case):
    data = pairs_of(tmp_path, UNIGRAM, BPE) if "pairs" in case else texts_of(tmp_path, UNIGRAM)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    whole = fit(case, data, tmp_path / "whole")
    update, left = loop.Trainer._update, [int(whole[0][-1]["step"]) // 2 + 1]

    def stopped(trainer, batch):
        left[0] -= 1
        if left[0] < 0:
            raise StoppedError
        update(trainer, batch)

    monkeypatch.setattr(loop.Trainer, "_update", stopped)
    with pytest.raises(StoppedError):
        fit(case, data, tmp_path / "broken")
    monkeypatch.setattr(loop.Trainer, "_update", update)
    torch.rand(17)
    assert fit(case, data, tmp_path / "broken") == whole


@pytest.mark.parametrize("case", CASES)
def test_the_budget_has_as_many_updates_as_without_and_validation_is_not_sampled(tmp_path, case):
    data = pairs_of(tmp_path, UNIGRAM, BPE) if "pairs" in case else texts_of(tmp_path, UNIGRAM)
    sampled, weights = fit(case, data, tmp_path / "sampled")
    plain, others = fit(case, data, tmp_path / "plain", sampling=None)
    places = [[(row["step"], row["epoch"], row["lr"]) for row in rows] for rows in (sampled, plain)]
    assert places[0] == places[1]
    assert weights != others
    # A rate that changes nothing: the validation loss of both is that of the first weights on the same tokens.
    still = [fit(case, data, tmp_path / f"{n}", lr=1e-12, sampling=n)[0][-1]["valid_loss"] for n in (None, 0.3)]
    assert float(still[0]) == pytest.approx(float(still[1]), rel=1e-6)
