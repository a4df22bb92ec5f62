"""The commands translate and summarize."""

import json
import os
import subprocess
import sys
import time
from io import BytesIO

import pytest
import torch
from builders import pair_dataset, text_dataset, trained
from typer.testing import CliRunner

from unroll.cli import app
from unroll.cli.lines import Lines
from unroll.errors import UserError
from unroll.files import read_json, write_json
from unroll.kinds import load_model
from unroll.kinds.seq2seq.settings import DecodeSettings
from unroll.params import NgramRun, Seq2SeqRun

LETTERS = [("a b c", "c b a"), ("b a", "a b"), ("d c b a", "a b c d")] * 4


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    model = {"kind": "seq2seq", "cell": "gru", "embedding": 8, "hidden": 16}
    train = {"batch_size": 4, "lr": 0.02, "steps": 60}
    evaluate = {"metric": "bleu", "beam": 3, "length_penalty": 0.9}
    runs = {
        "translator": Seq2SeqRun(dataset="d", init="scratch", model=model, train=train, evaluate=evaluate, seed=1),
        "3gram": NgramRun(
            dataset="d", init="scratch", model={"kind": "ngram", "order": 3}, train={}, evaluate={}, seed=1
        ),
    }
    datasets = {
        "translator": pair_dataset(folder / "pairs", LETTERS, max_length=6),
        "3gram": text_dataset(folder / "text", ["a b", "b a"], {"unit": "char"}),
    }
    for name, run in runs.items():
        trained(folder, name, run, datasets[name])
    return folder


@pytest.fixture
def model(project):
    return load_model(project / "models" / "translator", torch.device("cpu"))


GIVEN = "a b c\n\nd c\n   \nb a\na"


@pytest.mark.parametrize("command", ["translate", "summarize"])
def test_lines_come_out_in_order_and_blank_ones_stay_blank(unroll, model, command):
    found = unroll(command, "translator", given=GIVEN).split("\n")
    expected = [h.text for h in model.decode(GIVEN.split("\n"), DecodeSettings(beam=3, length_penalty=0.9))]
    assert found == [expected[0], "", expected[2], "", expected[4], expected[5], ""]
    assert found[0] != ""
    assert unroll(command, "translator", given="") == ""
    assert unroll(command, "models/translator", given="\n") == "\n"


def test_options_take_the_place_of_the_settings_of_the_run(unroll, model):
    options = ["--beam", "4", "--length-penalty", "0", "--coverage-penalty", "0.3", "--no-repeat-ngram", "1"]
    options += ["--min-length", "2", "--max-length", "5"]
    settings = DecodeSettings(
        beam=4, length_penalty=0.0, coverage_penalty=0.3, no_repeat_ngram=1, min_length=2, max_length=5
    )
    lines = [f"{a} {b} {a}" for a in "abcd" for b in "abcd"]
    found = unroll("translate", "translator", *options, given="\n".join(lines)).splitlines()
    assert found == [h.text for h in model.decode(lines, settings)]
    assert found != unroll("translate", "translator", given="\n".join(lines)).splitlines()


def test_several_hypotheses_have_their_line_and_score(unroll, model):
    found = unroll("translate", "translator", "--nbest", "2", given="a b c\n\nb a\n").splitlines()
    rows = [line.split("\t") for line in found]
    assert [row[0] for row in rows] == ["1", "1", "2", "3", "3"]
    assert rows[2] == ["2", "0.0000", ""]
    for place, source in ((0, "a b c"), (3, "b a")):
        (several,) = model.decode_nbest([source], DecodeSettings(beam=3, length_penalty=0.9), 2)
        assert [row[2] for row in rows[place : place + 2]] == [h.text for h in several]
        assert [float(row[1]) for row in rows[place : place + 2]] == pytest.approx([h.score for h in several], abs=1e-4)


def test_json_has_scores_tokens_and_alignments(unroll, model):
    text = unroll("translate", "translator", "--json", "--nbest", "3", given="a b é\n \n")
    first, blank = map(json.loads, text.splitlines())
    assert first["source"] == "a b é" and "é" in text
    assert first["source_tokens"] == ["a", "b", "<unk>", "</s>"]
    assert len(first["hypotheses"]) == 3
    for hypothesis in first["hypotheses"]:
        assert hypothesis["score"] >= hypothesis["log_probability"]
        assert len(hypothesis["alignment"]) == len(hypothesis["tokens"])
        assert all(sum(row) == pytest.approx(1, abs=1e-3) and len(row) == 4 for row in hypothesis["alignment"])
        assert hypothesis["text"].split() == hypothesis["tokens"]
    assert (blank["source"], blank["cut"]) == (" ", 0)
    (nothing,) = blank["hypotheses"]
    assert nothing == {"text": "", "score": 0.0, "log_probability": 0.0, "tokens": [], "alignment": []}


def test_a_long_line_is_cut_and_told_by_its_number(unroll, project, monkeypatch):
    monkeypatch.chdir(project)
    lines = ["a b c", "a b c d a b c d", "b a", "a b c d a b c b b", "a b c d a b"]
    result = CliRunner().invoke(app, ["translate", "translator"], input="\n".join(lines))
    assert result.stderr.splitlines() == [
        "line 2: 8 tokens, more than 6: cut as in training",
        "line 4: 9 tokens, more than 6: cut as in training",
    ]
    found = result.stdout.splitlines()
    assert len(found) == 5 and found[1] == found[3]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["a b", "b a"], []),
        (["a b", "b é"], ["1 token was read as <unk>, in line 2: translator has never seen 'é'"]),
        (
            ["a", "u v w", "u x y z"],
            [
                "7 tokens were read as <unk>, in 2 lines, first in line 2: "
                "translator has never seen 'u', 'v', 'w', 'x', 'y', …"
            ],
        ),
    ],
)
def test_unknown_words_are_told_once_at_the_end(unroll, project, monkeypatch, lines, told):
    monkeypatch.chdir(project)
    result = CliRunner().invoke(app, ["translate", "translator"], input="\n".join(lines))
    assert result.stderr.splitlines() == told
    assert len(result.stdout.splitlines()) == len(lines)


def test_an_empty_result_is_told(project, monkeypatch, model):
    monkeypatch.chdir(project)
    options = ["--length-penalty", "0", "--max-length", "1", "--min-length", "0"]
    settings = DecodeSettings(beam=30, length_penalty=0.0, max_length=1)
    lines = ["a b c", "", "x y z u v w"]
    empty = [n for n, found in enumerate(model.decode(lines, settings), start=1) if not found.text and lines[n - 1]]
    result = CliRunner().invoke(app, ["translate", "translator", "--beam", "30", *options], input="\n".join(lines))
    told = [line for line in result.stderr.splitlines() if "empty" in line]
    assert told == [f"line {n}: nothing was found better than an empty text" for n in empty] and told


def test_samples_are_decided_by_seed_and_line(unroll):
    def draw(*options: str) -> list[str]:
        return unroll("translate", "translator", "--sample", *options, given="a b c\n" * 8).splitlines()

    drawn = draw("--temperature", "2", "--seed", "3")
    assert drawn == draw("--temperature", "2", "--seed", "3") != draw("--temperature", "2", "--seed", "4")
    assert len(set(drawn)) > 1
    assert len(draw("--nbest", "9", "--top-p", "0.9")) == 8 * 9
    assert set(draw("--top-k", "1")) == set(
        unroll("translate", "translator", "--beam", "1", given="a b c").splitlines()
    )


def test_unknown_words_are_replaced_if_asked_for(unroll):
    known = unroll("translate", "translator", "--min-length", "3", given="q r s")
    assert "<unk>" not in known
    replaced = unroll("translate", "translator", "--replace-unknown", "--min-length", "3", given="q r s")
    assert "<unk>" not in replaced


def test_what_the_bundle_says_of_sampling_holds(unroll, project, tmp_path):
    for file in (project / "models" / "translator").rglob("*"):
        if file.is_file():
            there = tmp_path / "other" / file.relative_to(project / "models" / "translator")
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(file.read_bytes())
    info = read_json(tmp_path / "other" / "bundle.json")
    info["settings"]["evaluate"] |= {"beam": 1, "sample": {"temperature": 3.0, "top_k": None, "top_p": None, "seed": 5}}
    write_json(tmp_path / "other" / "bundle.json", info)
    (tmp_path / "other" / "SHA256SUMS").unlink()
    other, given = str(tmp_path / "other"), "a b c\n" * 5
    drawn = unroll("translate", other, given=given)
    assert drawn == unroll("translate", "translator", "--sample", "--temperature", "3", "--seed", "5", given=given)
    assert drawn != unroll("translate", other, "--seed", "6", given=given)
    assert len(set(unroll("translate", other, "--search", given=given).splitlines())) == 1


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        (["translate", "translater"], b"", "translater: no finished run; did you mean 'translator'?"),
        (["summarize", "3gram"], b"", "3gram: a ngram continues text; this needs an encoder-decoder"),
        (["translate", "translator", "--nbest", "5"], b"", "--nbest 5: a beam finds as many as it keeps, 3; --beam 5"),
        (["translate", "translator", "--top-k", "5"], b"", "options: `top_k` belongs to `sample`"),
        (["translate", "translator", "--sample", "--beam", "2"], b"", "options: `sample` draws each token"),
        (
            ["translate", "translator", "--sample", "--top-p", "2"],
            b"",
            "sample.top_p: should be less than or equal to 1",
        ),
        (["translate", "translator", "--min-length", "5", "--max-length", "2"], b"", "options: `min_length` should be"),
        (["translate", "translator"], b"a\nb\xff\n", "standard input: not UTF-8 at byte 3, in line 2"),
    ],
)
def test_mistakes_are_told(unroll, arguments, given, message):
    with pytest.raises(UserError) as caught:
        unroll(*arguments, given=given)
    assert message in str(caught.value)


def test_what_comes_before_damaged_text_is_answered(project, monkeypatch):
    monkeypatch.chdir(project)
    result = CliRunner().invoke(app, ["translate", "translator"], input=b"a b\nb a\n\xff\na\n")
    assert isinstance(result.exception, UserError)
    assert len(result.stdout.splitlines()) == 2


def test_a_slow_writer_is_answered_line_by_line(project):
    command = [sys.executable, "-c", "from unroll.cli import main; main()", "translate", "translator"]
    with subprocess.Popen(
        command, cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        for line in (b"a b c\n", b"\n", b"b a\n"):
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer.endswith(b"\n") and bool(answer.strip()) == bool(line.strip())
        process.stdin.close()
        assert process.stdout.read() == b"" and process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize("text", [b"", b"a", b"a\n", b"\n", b"\r\na\r\n", "é\n\n\nü".encode(), b"a" * 300_000 + b"\nb"])
def test_lines_are_those_of_the_file(text):
    expected = [line.decode().removesuffix("\n").removesuffix("\r") for line in BytesIO(text)]
    assert list(Lines(BytesIO(text), "it")) == expected


def test_lines_say_whether_they_wait():
    reading, writing = os.pipe()
    with open(reading, "rb") as file, open(writing, "wb", buffering=0) as writer:  # noqa: PTH123
        lines = Lines(file, "it")
        assert lines.waits()
        writer.write(b"one\ntwo\nth")
        time.sleep(0.01)
        read = iter(lines)
        assert not lines.waits() and next(read) == "one"
        assert not lines.waits() and next(read) == "two"
        assert lines.waits()
        writer.write(b"ree\n\xff\n")
        assert not lines.waits() and next(read) == "three"
        assert lines.waits()  # what is no text is told after what came before
        writer.close()
        with pytest.raises(UserError, match="it: not UTF-8 at byte 14, in line 4"):
            next(read)
        assert not lines.waits()
