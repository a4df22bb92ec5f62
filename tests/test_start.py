"""What training starts from: another run, vectors made elsewhere."""

import gzip
import re
from pathlib import Path

import pytest
import torch
from builders import pair_dataset, text_dataset

from unroll.errors import UserError
from unroll.files import read_json, sha256
from unroll.kinds.bundle import read_bundle
from unroll.params import LanguageModelRun, Seq2SeqRun
from unroll.training.run import train_run

CPU = torch.device("cpu")
TEXTS = ["the cat sat on the mat", "a dog ran", "the dog sat, too"]
VECTORS = "3 4\nthe 1 2 3 4\ncat 0.5 0 0 -1\nzebra 9 9 9 9\n, 7 7 7 7\n"


def run(init="scratch", model=None, **train) -> LanguageModelRun:
    return LanguageModelRun.model_validate(
        {
            "dataset": "tiny",
            "init": init,
            "model": {"kind": "language_model", "cell": "lstm", "embedding": 4, "hidden": 6, **(model or {})},
            "train": {"context": "text", "batch_size": 2, "lr": 0.01, "epochs": 1, **train},
            "evaluate": {},
            "seed": 1,
        }
    )


def pair_run(init="scratch", model=None, **train) -> Seq2SeqRun:
    attention = {"attention": "additive", "pointer": "mixture"}
    return Seq2SeqRun.model_validate(
        {
            "dataset": "tiny",
            "init": init,
            "model": {"kind": "seq2seq", "cell": "lstm", "embedding": 4, "hidden": 6, **attention, **(model or {})},
            "train": {"batch_size": 2, "lr": 0.01, "epochs": 3, **train},
            "evaluate": {"metric": "rouge"},
            "seed": 1,
        }
    )


class Trials:
    """Trains runs on one dataset in a folder."""

    def __init__(self, folder: Path, pairs: bool = False) -> None:
        self.folder = folder
        if pairs:
            self.data = pair_dataset(folder, list(zip(TEXTS, reversed(TEXTS), strict=True)), shared=True)
        else:
            self.data = text_dataset(folder, TEXTS, {"unit": "word"})

    def train(
        self, name: str, settings: LanguageModelRun | Seq2SeqRun, vocabularies: Path | None = None
    ) -> dict[str, torch.Tensor]:
        folder = self.folder
        train_run(
            name,
            settings,
            self.data,
            vocabularies or folder / "vocab",
            folder / "models" / settings.init,
            [],
            CPU,
            folder / "models" / name,
            folder / "results" / name,
            folder / "checkpoints",
        )
        return read_bundle(folder / "models" / name).weights


@pytest.fixture
def trials(tmp_path):
    return Trials(tmp_path)


def test_a_warm_start_has_the_weights_of_its_run(trials):
    first = trials.train("first", run(epochs=3))
    second = trials.train("second", run("first", lr=1e-12))
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, rtol=0, atol=1e-9)
    prints = [read_json(trials.folder / "models" / name / "bundle.json")["fingerprint"] for name in ("first", "second")]
    trials.train("first", run(epochs=4))
    trials.train("second", run("first", lr=1e-12))
    assert read_json(trials.folder / "models" / "second" / "bundle.json")["fingerprint"] not in prints


def test_coverage_begins_where_a_pointer_without_it_has_ended(tmp_path):
    """See et al. (2017), section 4: coverage is added to a trained pointer, and its weights learned from zero on."""
    trials = Trials(tmp_path, pairs=True)
    pointer = trials.train("pointer", pair_run())
    covering = trials.train("coverage", pair_run("pointer", {"past": "coverage"}, lr=1e-12))
    (added,) = covering.keys() - pointer.keys()
    assert added.endswith("covered") and covering[added].abs().max() < 1e-9
    for name, weight in pointer.items():
        torch.testing.assert_close(covering[name], weight, rtol=0, atol=1e-9)
    losses = [read_bundle(tmp_path / "models" / name).info["best"]["valid_loss"] for name in ("pointer", "coverage")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


def test_what_a_warm_start_lacks_is_refused_unless_it_begins_at_zero(trials):
    trials.train("first", run())
    trials.train("peeping", run("first", {"peepholes": True}))
    with pytest.raises(UserError, match=r"runs\.normed\.init: first is another model"):
        trials.train("normed", run("first", {"layer_norm": True}))
    with pytest.raises(UserError, match=r"runs\.blind\.init: peeping is another model"):
        trials.train("blind", run("peeping"))


def test_a_warm_start_of_another_model_or_vocabulary_is_refused(trials, tmp_path):
    trials.train("first", run())
    with pytest.raises(UserError, match=r"runs\.second\.init: first is another model than runs\.second\.model"):
        trials.train("second", run("first", {"hidden": 8}))
    other = text_dataset(tmp_path / "other", ["another text"], {"unit": "word"})
    assert other
    with pytest.raises(UserError, match=r"runs\.second\.init: first has another vocabulary"):
        trials.train("second", run("first"), tmp_path / "other" / "vocab")


def vectors(path: Path, text: str = VECTORS) -> dict[str, str]:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return {"path": str(path), "sha256": sha256(path)}


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
def test_words_begin_with_their_vectors(trials, tmp_path, capsys, name):
    weights = trials.train("first", run(model={"vectors": vectors(tmp_path / name)}, lr=1e-12))
    vocabulary = trials.data.vocabularies["text"]
    found = {
        token: weights["embedding.weight"][n].tolist()
        for n, token in enumerate(vocabulary.tokens(range(len(vocabulary))))
    }
    assert found["the"] == pytest.approx([1, 2, 3, 4])
    assert found["cat"] == pytest.approx([0.5, 0, 0, -1])
    assert [vector for token, vector in found.items() if token.strip("￭") == ","] == [pytest.approx([7] * 4)]
    assert max(map(abs, found["dog"])) < 7
    assert "3 of " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the 1 2 3\n", "line 1 has 3 numbers; `embedding` is 4"),
        ("cat 1 2 3 4\nthe 1 2 3 x\n", "line 2 has something that is not a number"),
        ("zebra 1 2 3 4\n", "has a vector for none of the"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(trials, tmp_path, text, message):
    with pytest.raises(UserError, match=re.escape(message)):
        trials.train("first", run(model={"vectors": vectors(tmp_path / "vectors.txt", text)}))


def test_vectors_that_have_changed_are_refused(trials, tmp_path):
    stated = vectors(tmp_path / "vectors.txt")
    (tmp_path / "vectors.txt").write_text(VECTORS + "dog 1 1 1 1\n")
    with pytest.raises(UserError, match="its sha256 is"):
        trials.train("first", run(model={"vectors": stated}))
