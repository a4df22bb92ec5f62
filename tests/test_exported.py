"""Models that leave the project: what is exported says what it is, is loaded again, and answers like the run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from builders import pair_dataset, text_dataset
from typer.testing import CliRunner

import unroll
from unroll.checksums import SUMS
from unroll.cli import app
from unroll.errors import UserError
from unroll.evaluation.results import Results
from unroll.evaluation.settings import PairEvaluation
from unroll.exported.card import model_card
from unroll.exported.models import PairModel, TextModel
from unroll.files import read_json, sha256
from unroll.kinds import load_model
from unroll.kinds.generation import Sampling
from unroll.params import LanguageModelRun, NgramRun, Seq2SeqRun
from unroll.training.run import train_run

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")
TEXTS = ["the cat sat", "a cat ran", "the dog sat on a mat"] * 3
PAIRS = [("a b c", "c b a"), ("b a", "a b"), ("d c b a", "a b c d")] * 4
METRICS = {
    "test": {"bleu": 40.04, "chrf": 50.0, "ter": 30.0, "exact": 0.25},
    "interval": {"bleu": [38.0, 42.5]},
    "by_source_words": {
        "1-5": {"sentences": 40, "bleu": 60.0},
        "6-10": {"sentences": 12, "bleu": 21.26},
        "11-20": {"sentences": 3, "bleu": 0.0},
    },
    "signature": {"bleu": "nrefs:1|tok:13a"},
    "baseline": {"copy": {"bleu": 1.0, "chrf": 55.0, "ter": 90.0}},
    "cost": {"parameters": 10, "steps": 60},
}
RUNS = {
    "lm": (
        LanguageModelRun,
        {"kind": "language_model", "cell": "gru", "embedding": 4, "hidden": 8},
        {"context": "stream", "bptt": 8, "batch_size": 2, "lr": 0.01, "steps": 3},
        {},
    ),
    "3gram": (NgramRun, {"kind": "ngram", "order": 3}, {}, {}),
    "translator": (
        Seq2SeqRun,
        {"kind": "seq2seq", "cell": "gru", "embedding": 8, "hidden": 16},
        {"batch_size": 4, "lr": 0.02, "steps": 30},
        {"metric": "bleu", "beam": 3},
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """Three finished runs, one with results."""
    folder = tmp_path_factory.mktemp("project")
    datasets = {
        "text": text_dataset(folder / "text", TEXTS, {"unit": "char"}),
        "pairs": pair_dataset(folder / "pairs", PAIRS, max_length=6),
    }
    for name, (kind, model, train, evaluate) in RUNS.items():
        data = datasets["pairs" if name == "translator" else "text"]
        run = kind(dataset="d", init="scratch", model=model, train=train, evaluate=evaluate, seed=1)
        train_run(
            name, run, data, data.folder.parent / "vocab", folder / "models", [], CPU,
            folder / "models" / name, folder / "results" / name, folder / "checkpoints",
        )  # fmt: skip
    (folder / "results" / "translator" / "metrics.json").write_text(json.dumps(METRICS))
    return folder


@pytest.fixture
def exported(project, tmp_path, monkeypatch):
    """Exports a run through the command line; the folder it is in."""
    monkeypatch.chdir(project)

    def export(name: str) -> Path:
        folder = tmp_path / "given away" / name
        result = CliRunner().invoke(app, ["export", name, str(folder)])
        if isinstance(result.exception, UserError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return folder

    return export


@pytest.mark.parametrize("name", ["lm", "3gram"])
def test_a_language_model_answers_like_its_run(project, exported, name):
    model = unroll.load(exported(name))
    run = load_model(project / "models" / name, CPU)
    assert isinstance(model, TextModel)
    texts = run.generate(["the", ""], max_tokens=9, sampling=Sampling(0.7, 5, 0.9), seed=4)
    assert model.generate(["the", ""], length=9, temperature=0.7, top_k=5, top_p=0.9, seed=4) == texts
    first, second = model.score(["the cat", "a dog"])
    assert first["log_probability"] == pytest.approx(-run.score(["the cat"])[0].nats)
    assert second["bits_per_char"] == model.score("a dog")[0]["bits_per_char"]


def test_an_encoder_decoder_answers_like_its_run(project, exported):
    model = unroll.load(str(exported("translator")))
    run = load_model(project / "models" / "translator", CPU)
    assert isinstance(model, PairModel)
    sources = ["a b c", "", "b a"]
    expected = [h.text for h in run.decode(sources, PairEvaluation(metric="bleu", beam=3))]
    assert model.translate(sources) == model.summarize(sources) == [expected[0], "", expected[2]]
    settings = PairEvaluation(metric="bleu", beam=4, length_penalty=0.0, max_length=2)
    several = model.decode("a b c", nbest=4, beam=4, length_penalty=0.0, max_length=2)[0]
    assert [h.text for h in several] == [h.text for h in run.decode_nbest(["a b c"], settings)[0]]
    drawn = model.translate(sources, sample=True, temperature=2.0, seed=3)
    assert drawn == model.translate(sources, sample=True, temperature=2.0, seed=3) != model.translate(sources)


@pytest.mark.parametrize(
    ("name", "call", "message"),
    [
        ("lm", lambda model: model.generate("a", temperature=0.0), "temperature 0.0: should be above 0"),
        ("lm", lambda model: model.generate("a", top_p=1.5), "top_p 1.5: should be above 0 and at most 1"),
        ("lm", lambda model: model.score(["a", 3]), "texts: number 2 is int; it should be text"),
        ("lm", lambda model: model.score("\ud800"), "texts: number 1 is not Unicode text"),
        ("translator", lambda model: model.translate("a", beem=2), "there is no `beem`; did you mean 'beam'?"),
        ("translator", lambda model: model.translate("a", beam=0), "beam: should be"),
        ("translator", lambda model: model.translate("a", top_k=2), "`top_k` belongs to `sample`"),
        ("translator", lambda model: model.decode("a", nbest=4), "nbest 4: should be 1 to `beam`, 3"),
    ],
)
def test_what_is_not_right_is_told(project, name, call, message):
    model = unroll.load(project / "models" / name)
    with pytest.raises(UserError, match=re.escape(message)):
        call(model)


def test_a_file_that_changed_is_named_and_so_is_one_that_is_gone(exported, monkeypatch):
    folder = exported("lm")
    weights = bytearray((folder / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "vocab" / "text.json").unlink()
    with pytest.raises(UserError) as caught:
        unroll.load(folder)
    gone, changed = caught.value.problems
    assert gone.startswith(f"{folder}/vocab/text.json: not there") and "SHA256SUMS" in gone
    assert changed.startswith(f"{folder}/weights.safetensors: damaged, these are not the bytes")
    result = CliRunner().invoke(app, ["generate", str(folder)])
    assert isinstance(result.exception, UserError) and "weights.safetensors" in str(result.exception)


def test_a_list_of_checksums_that_was_cut_is_told(exported):
    folder = exported("lm")
    lines = (folder / SUMS).read_text().splitlines(keepends=True)
    (folder / SUMS).write_text("".join(line for line in lines if "weights" not in line))
    with pytest.raises(UserError, match=r"weights\.safetensors: SHA256SUMS does not name it"):
        unroll.load(folder)
    (folder / SUMS).write_bytes(b"")
    with pytest.raises(UserError, match="does not name it"):
        unroll.load(folder)


def test_every_file_has_its_checksum(exported):
    folder = exported("translator")
    lines = (folder / SUMS).read_text().splitlines()
    stated = {name: digest for digest, name in (line.split("  ") for line in lines)}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {SUMS}
    assert stated == {name: sha256(folder / name) for name in there}
    assert {"weights.safetensors", "bundle.json", "README.md", "metrics.json", "vocab/vocabularies.json"} <= there
    assert {(folder / name).stat().st_mode & 0o777 for name in there} == {0o644}  # for whom it is given to


def test_no_folder_is_overwritten(exported):
    folder = exported("lm")
    with pytest.raises(UserError, match="there is something already"):
        exported("lm")
    with pytest.raises(UserError, match="no such folder"):
        unroll.load(folder / "nothing")


def test_the_card_says_how_good_and_where_it_fails(exported):
    folder = exported("translator")
    card = (folder / "README.md").read_text()
    assert re.search(r"^An encoder-decoder \(\w+\) over the unit ", card, re.MULTILINE)
    assert "pipeline_tag: translation" in card and 'license_name: "CC0"' in card
    assert "| BLEU | 40.0 | 1.0 | 38.0 to 42.5 |" in card
    assert "BLEU: `nrefs:1|tok:13a`" in card
    assert "Worst by words in the source: 6-10 (12 sentences), BLEU 21.3; of all 40.0." in card
    assert "The baseline `copy`, which needs no training, is better by chrF." in card
    assert "A source longer than 6 units is cut." in card
    assert "    beam: 3" in card


def test_the_card_of_a_language_model_says_what_it_does_not_know(project):
    info = read_json(project / "models" / "lm" / "bundle.json")
    assert "Not evaluated, so not known." in model_card(info, None)
    test = {"bits_per_char": 2.5, "oov_rate": 0.0316, "texts": 67, "chars": 45390, "context": "stream"}
    fluency = {"generated": {"repetition": 0.25}, "real": {"repetition": 0.05}}
    card = model_card(info, Results({"test": test, "fluency": fluency, "cost": {"steps": 3}}, [], []))
    assert "| bits/char | 2.500 |  |" in card
    assert "Over 67 texts with 45,390 characters, read as one stream." in card
    assert "- 3.16% of the tokens of the test split are unknown to its vocabulary." in card
    assert "25.0% of the 4-grams of words; in real text 5.0%." in card


def test_the_three_lines_of_the_card_are_run(exported, tmp_path):
    for name in ("lm", "translator"):
        folder = exported(name)
        (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
        done = subprocess.run(
            [sys.executable, "-c", code.replace("DIR", str(folder))], capture_output=True, text=True, cwd=tmp_path
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_the_package_itself_is_light():
    code = "import sys, unroll; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "numpy", "pydantic", "mlflow"} & set(done.stdout.split()) == set()
