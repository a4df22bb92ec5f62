"""The commands that use a finished run."""

import json
import math
import os
import subprocess
import sys

import pytest
from builders import pair_dataset, text_dataset, trained
from typer.testing import CliRunner

from unroll.cli import app
from unroll.errors import UserError
from unroll.params import LanguageModelRun, NgramRun, Seq2SeqRun

TEXTS = ["the cat sat", "a cat ran", "the dog sat on a mat"] * 3
LM = {"kind": "language_model", "cell": "gru", "embedding": 4, "hidden": 8}
RUNS = {
    "lm": (LanguageModelRun, LM, {"context": "stream", "bptt": 8, "batch_size": 2, "lr": 0.01, "steps": 3}, {}),
    "3gram": (NgramRun, {"kind": "ngram", "order": 3}, {"context": "stream"}, {}),
    "translator": (
        Seq2SeqRun,
        {"kind": "seq2seq", "cell": "gru", "embedding": 4, "hidden": 8},
        {"batch_size": 4, "lr": 0.01, "steps": 3},
        {"metric": "bleu", "beam": 2},
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    datasets = {
        "text": text_dataset(folder / "text", TEXTS, {"unit": "char"}),
        "pairs": pair_dataset(folder / "pairs", [("a b c", "c b a"), ("b a", "a b")] * 4),
    }
    for name, (kind, model, train, evaluate) in RUNS.items():
        data = datasets["pairs" if name == "translator" else "text"]
        run = kind(dataset="d", init="scratch", model=model, train=train, evaluate=evaluate, seed=1)
        trained(folder, name, run, data)
    (folder / "new.txt").write_text("the cat ran\nÄ dog\n\nsat")
    (folder / "new.target").write_text("x\ny\n\nz\n")
    return folder


@pytest.mark.parametrize("run", ["lm", "3gram", "models/lm"])
def test_generate_writes_the_same_for_the_same_seed(unroll, run):
    written = unroll("generate", run, "--prompt", "the ", "--length", "30", "--count", "2", "--seed", "3")
    assert written == unroll("generate", run, "--prompt", "the ", "--length", "30", "--count", "2", "--seed", "3")
    assert written != unroll("generate", run, "--prompt", "the ", "--length", "30", "--count", "2", "--seed", "4")
    first, second = written.split("\n\n")
    assert first.startswith("the ") and second.startswith("the ") and first != second
    assert len(unroll("generate", run, "--length", "5")) <= 6


def test_generate_greedily_is_what_top_k_1_gives(unroll):
    greedy = unroll("generate", "3gram", "--prompt", "the", "--top-k", "1", "--length", "20")
    assert greedy == unroll("generate", "3gram", "--prompt", "the", "--top-p", "1e-9", "--length", "20", "--seed", "9")


def test_a_prompt_with_characters_never_seen_is_told(project, monkeypatch, unroll):
    result = CliRunner().invoke(app, ["generate", "lm", "--prompt", "Ä Q", "--length", "3"])
    assert result.exit_code == 0
    assert "lm has never seen 'Q', 'Ä'; reads <unk> instead" in result.stderr
    assert result.stdout.startswith("Ä Q")


@pytest.mark.parametrize("run", ["lm", "3gram"])
def test_a_score_does_not_depend_on_the_other_lines(unroll, run):
    lines = [b"the cat sat\n", b"\n", "Ä dog\n".encode(), b"a mat"]
    together = unroll("score", run, given=b"".join(lines)).splitlines()
    assert together == [unroll("score", run, given=line).strip("\n") for line in lines]
    nats, perplexity, bits = map(float, together[0].split("\t"))
    assert perplexity == pytest.approx(math.exp(-nats / 12), rel=1e-3)
    assert bits == pytest.approx(-nats / 12 / math.log(2), rel=1e-3)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_text_is_written_as_utf_8_on_any_terminal(project, encoding):
    code = "import sys; sys.argv[0] = 'unroll'; from unroll.cli import main; main()"
    call = [sys.executable, "-c", code, "generate", "lm", "--prompt", "Ä 漢", "--length", "1"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(call, cwd=project, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("utf-8").startswith("Ä 漢")
    assert "never seen" in done.stderr.decode("utf-8")


def test_a_byte_order_mark_is_no_text(unroll):
    assert unroll("score", "lm", given=b"\xef\xbb\xbfthe cat\n") == unroll("score", "lm", given=b"the cat\n")


def test_scores_as_json_have_every_measure(unroll):
    first, second = map(json.loads, unroll("score", "lm", "--json", given=b"the cat\nQ\n").splitlines())
    assert first["log_probability"] == -first["nll_nats"]
    assert first["chars"] == 8
    assert second["oov_rate"] == 1.0 and second["unknown_nats"] > 0


def test_evaluate_measures_a_new_text(unroll, project):
    found = json.loads(unroll("evaluate", "lm", "--data", "new.txt"))
    assert (found["texts"], found["chars"], found["context"]) == (4, 12 + 6 + 1 + 4, "stream")
    pairs = json.loads(unroll("evaluate", "translator", "--data", "new.txt", "--target", "new.target"))
    sections = {"interval", "by_source_words", "by_unknown_tokens", "signature"}
    assert pairs.keys() == {"bleu", "bleu_lc", "chrf", "ter", "length_ratio", "exact"} | sections
    assert pairs["by_source_words"]["0-5"]["sentences"] == 4


def test_pairs_are_evaluated_as_params_say_now(unroll, project):
    """Not as they said when the run was trained, nor where a folder is named."""
    run = {
        **dict(zip(("model", "train", "evaluate"), RUNS["translator"][1:], strict=True)),
        "init": "scratch",
        "seed": 1,
    }
    run["evaluate"] = {"metric": "rouge", "stem": True}
    files = {
        "source": "files",
        "path": "x",
        **{split: {"source": "a", "target": "b"} for split in ("train", "valid", "test")},
    }
    params = {
        "corpora": {"c": files},
        "datasets": {
            "d": {"corpus": "c", "fields": {key: {"unit": "word"} for key in ("source", "target")}, "max_length": 9}
        },
        "combinations": {},
        "runs": {"translator": {**run, "dataset": "d"}},
    }
    (project / "params.yaml").write_text(json.dumps(params))
    try:
        for name, key in (("translator", "rouge1"), ("models/translator", "bleu")):
            assert key in json.loads(unroll("evaluate", name, "--data", "new.txt", "--target", "new.target"))
    finally:
        (project / "params.yaml").unlink()


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        (["generate", "3-gram"], b"", "3-gram: no finished run; did you mean '3gram'?"),
        (["generate", "translator"], b"", "translator: a seq2seq turns one text into another"),
        (["generate", "lm", "--temperature", "0"], b"", "--temperature 0.0: should be above 0"),
        (["generate", "lm", "--temperature", "inf"], b"", "--temperature inf: should be above 0"),
        (["generate", "lm", "--temperature", "nan"], b"", "--temperature nan: should be above 0"),
        (["generate", "lm", "--top-p", "1.5"], b"", "--top-p 1.5: should be above 0 and at most 1"),
        (["score", "lm"], b"good\nb\xff\n", "standard input: not UTF-8 at byte 6, in line 2"),
        (["score", "lm"], b"\xef\xbb\xbfb\xff\n", "standard input: not UTF-8 at byte 4, in line 1"),
        (["evaluate", "lm", "--data", "missing.txt"], b"", "missing.txt: no such file"),
        (["evaluate", "lm", "--data", "new.txt", "--target", "new.txt"], b"", "--target: belongs to encoder-decoders"),
        (["evaluate", "translator", "--data", "new.txt"], b"", "--target: is missing"),
    ],
)
def test_mistakes_are_told(unroll, arguments, given, message):
    with pytest.raises(UserError) as caught:
        unroll(*arguments, given=given)
    assert message in str(caught.value)


def test_a_mistake_in_params_yaml_keeps_no_finished_run_from_being_used(project, unroll):
    path = project / "params.yaml"
    try:
        path.write_text("runs: {other: {}}\ncompute: {device: cpu, threads: 1}\n")
        assert unroll("score", "3gram", given=b"the cat\n")
        path.write_text("runs: {other: {}}\ncompute: {device: cpu, threads: many}\n")
        with pytest.raises(UserError) as caught:
            unroll("score", "3gram", given=b"the cat\n")
        assert caught.value.problems == ["params.yaml: compute.threads: should be an integer, found 'many' (str)"]
    finally:
        path.unlink()
