"""Which weights become the finished model: by the loss or by decoded text, one validation's or the mean of several."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from builders import dataset
from pydantic import ValidationError

from unroll.evaluation.figures import SCORES
from unroll.evaluation.pairs import score_pairs
from unroll.kinds import load_model
from unroll.kinds.seq2seq.settings import DecodeSettings, SelectSettings
from unroll.params import Seq2SeqRun
from unroll.text.batches import WHOLE, Part
from unroll.tracking.shown import CURVES
from unroll.training import loop
from unroll.training.decoded import NAMES, DecodedScore
from unroll.training.ranking import Ranking
from unroll.training.run import train_run
from unroll.training.validation import Validation

CPU = torch.device("cpu")
MODEL = {"kind": "seq2seq", "cell": "gru", "embedding": 16, "hidden": 32, "attention": "dot"}
TRAIN = {"batch_size": 16, "lr": 0.01, "clip": 1.0, "steps": 250, "validate_every": 25}


def nothing() -> dict[str, torch.Tensor]:
    return {}


@pytest.mark.parametrize(
    ("found", "size", "kept", "misses"),
    [
        ([(3.0, None), (2.0, None), (2.5, None), (4.0, None)], 1, [2], 2),
        ([(3.0, None), (2.0, None), (2.5, None), (4.0, None)], 3, [2, 3, 1], 2),
        ([(2.0, None), (2.0, None)], 1, [1], 1),
        ([(2.0, None), (2.0, None)], 2, [1, 2], 1),
        ([(3.0, 20.0), (2.0, 10.0), (4.0, 30.0)], 2, [3, 1], 0),
        ([(3.0, 0.0), (2.0, 0.0), (2.5, 0.0)], 2, [2, 3], 1),  # of equal scores the loss decides
        ([(float("nan"), 50.0), (2.0, 1.0), (float("inf"), 60.0)], 3, [2], 1),
        ([(float("nan"), None)], 1, [], 1),
    ],
)
def test_the_best_validations_are_kept_in_order(found, size, kept, misses):
    ranking = Ranking(size)
    for step, (loss, score) in enumerate(found, 1):
        ranking.add(Validation(loss, score), step, nothing)
    assert [best.step for best in ranking.kept] == kept
    assert ranking.misses == misses
    again = Ranking(size)
    again.restore(ranking.state())
    assert (again.kept, again.misses) == (ranking.kept, ranking.misses)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Letters to be reversed. A quarter of the validation targets are wrong: the surer a model, the more they cost."""
    random = np.random.default_rng(3)
    sources = [" ".join(random.choice(list("abcdef"), size=random.integers(2, 6))) for _ in range(460)]
    pairs = [(source, " ".join(source.split()[::-1])) for source in sources]
    valid = [
        (source, target if n % 4 else " ".join(random.choice(list("abcdef"), size=len(target.split()))))
        for n, (source, target) in enumerate(pairs[400:])
    ]
    fields = {"source": {"unit": "word"}, "target": {"share": "source"}}
    splits = {"train": pairs[:400], "valid": valid, "test": valid}
    return dataset(tmp_path_factory.mktemp("pairs"), ["source", "target"], splits, fields)


def fit(data, folder, dropout=0.0, **changes):
    """Train; what the bundle says of its best weights, and the rows of the history."""
    model, train = {**MODEL, "dropout": dropout}, {**TRAIN, **changes}
    run = Seq2SeqRun(dataset="d", init="scratch", model=model, train=train, evaluate={"metric": "bleu"}, seed=1)
    vocab = data.folder.parent / "vocab"
    train_run("r", run, data, vocab, folder / "scratch", [], CPU, folder / "model", folder, folder / "checkpoints")
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return json.loads((folder / "model" / "bundle.json").read_text())["best"], rows


def validations(rows, column):
    return {int(row["step"]): float(row[column]) for row in rows if row["valid_loss"]}


def test_a_decoded_score_chooses_other_weights_than_the_loss(tmp_path, data):
    by_loss, rows = fit(data, tmp_path / "loss")
    by_bleu, scored = fit(data, tmp_path / "bleu", select="bleu")
    assert "valid_bleu" not in rows[0]
    assert validations(rows, "valid_loss") == validations(scored, "valid_loss")  # scoring changes no training
    losses, scores = validations(scored, "valid_loss"), validations(scored, "valid_bleu")
    assert by_loss["step"] == min(losses, key=losses.get)
    assert by_bleu["step"] == max(scores, key=scores.get)
    assert by_bleu["step"] > by_loss["step"]
    assert by_bleu["valid_loss"] == pytest.approx(losses[by_bleu["step"]], rel=1e-6)
    assert by_bleu["valid_bleu"] == pytest.approx(scores[by_bleu["step"]], rel=1e-6)
    sources, targets = (data.raw_texts("valid", name) for name in ("source", "target"))
    found = load_model(tmp_path / "bleu" / "model", CPU).decode(sources, DecodeSettings(beam=1))
    scores = score_pairs("bleu", [hypothesis.text for hypothesis in found], targets, "en")
    assert by_bleu["valid_bleu"] == pytest.approx(scores.corpus["bleu"], rel=1e-9)


def test_patience_follows_the_score(tmp_path, data):
    _, rows = fit(data, tmp_path / "loss", patience=2)
    _, scored = fit(data, tmp_path / "bleu", patience=2, select="bleu")
    assert int(scored[-1]["step"]) > int(rows[-1]["step"])


def test_summaries_go_by_rouge(tmp_path, data):
    best, rows = fit(data, tmp_path, steps=50, select={"metric": "rouge", "rows": 10})
    scores = validations(rows, "valid_rougeL")
    assert best["valid_rougeL"] == pytest.approx(max(scores.values()), rel=1e-6)


def test_the_rows_to_be_decoded_are_spread_over_the_split(data):
    class Echo:
        def decode(self, sources, vocabularies):
            assert vocabularies == {"source": 1}
            return [f" {source}\n" for source in sources]

    sources, targets = (data.raw_texts("valid", name) for name in ("source", "target"))
    for rows, chosen in ((7, [0, 8, 17, 25, 34, 42, 51]), (60, range(60)), (99, range(60)), (None, range(60))):
        score = DecodedScore(Echo(), data, {"source": 1}, "rouge", "en", rows)
        lines = [sources[row] for row in chosen], [targets[row] for row in chosen]
        parts = [score.decode(Part(number, 3)) for number in range(3)]
        assert score.of(parts) == score.of([score.decode(WHOLE)]) == score_pairs("rouge", *lines, "en").corpus["rougeL"]


def test_weights_are_averaged_over_the_best_validations(tmp_path, data):
    """The mean of three bundles, each the best weights of a training that ended there."""
    best, rows = fit(data, tmp_path / "mean", average=3, lr=0.02, steps=200, validate_every=20)
    losses = validations(rows, "valid_loss")
    three = sorted(losses, key=losses.get)[:3]
    assert best["averaged"] == sorted(three)
    assert best["step"] == three[0]
    assert best["valid_loss"] < losses[three[0]]
    single = [weights(tmp_path / "one", data, step) for step in three]
    for name, mean in load_model(tmp_path / "mean" / "model", CPU).network.named_parameters():
        torch.testing.assert_close(mean, torch.stack([one[name] for one in single]).mean(0), rtol=1e-5, atol=1e-6)


def weights(folder, data, step):
    """The weights at `step`, whatever they are worth: no validation before it."""
    fit(data, folder / str(step), lr=0.02, steps=step, validate_every=step)
    return dict(load_model(folder / str(step) / "model", CPU).network.named_parameters())


def test_a_mean_that_is_no_better_is_not_taken(tmp_path, data, capsys):
    """Of weights that are still on their way, the mean lies behind the last."""
    best, rows = fit(data, tmp_path, average=2, steps=20, validate_every=5, lr=0.001)
    losses = validations(rows, "valid_loss")
    assert best == {"step": 20, "valid_loss": pytest.approx(losses[20], rel=1e-6)}
    assert "r: the mean of the weights of steps 15, 20: valid " in capsys.readouterr().err


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("stops_at", [1, 7, 12, 21])
def test_an_interrupted_training_ends_with_the_same_bits(tmp_path, monkeypatch, data, stops_at):
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    chosen = {"dropout": 0.1, "batch_size": None, "batch_tokens": 100, "accumulate": 3, "average": 3, "select": "bleu",
              "steps": 22, "validate_every": 4}  # fmt: skip
    whole = fit(data, tmp_path / "whole", **chosen)
    update, left = loop.Trainer._update, [stops_at]

    def stopped(trainer, batches):
        left[0] -= 1
        if left[0] < 0:
            raise StoppedError
        update(trainer, batches)

    monkeypatch.setattr(loop.Trainer, "_update", stopped)
    with pytest.raises(StoppedError):
        fit(data, tmp_path / "broken", **chosen)
    monkeypatch.setattr(loop.Trainer, "_update", update)
    torch.rand(17)
    assert fit(data, tmp_path / "broken", **chosen) == whole
    files = [tmp_path / name / "model" / "weights.safetensors" for name in ("whole", "broken")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_rows_without_a_score_are_refused():
    with pytest.raises(ValidationError, match="`rows` belongs to metric: bleu and rouge"):
        SelectSettings(metric="loss", rows=3)


def test_every_score_is_drawn_and_tracked():
    assert set(NAMES.values()) == set(SCORES)
    assert {f"valid_{name}" for name in SCORES} <= set(CURVES)


def test_what_scores_text_is_imported_where_it_is_needed_alone():
    code = "import sys, unroll.training.run; assert not {'sacrebleu', 'rouge_score', 'nltk'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
