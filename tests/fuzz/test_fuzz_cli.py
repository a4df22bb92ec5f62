"""Commands that read standard input: a line out for each line in, or the byte and the line that is not right."""

import json
from pathlib import Path

import pytest
from harness import LARGEST_INPUT, NASTY, execute, fuzz, texts
from hypothesis import given
from hypothesis import strategies as st
from test_bad_bundles import UNITS, bundles  # noqa: F401
from typer.testing import CliRunner, Result

from unroll.cli import app

MEGABYTE = 1_000_000


@pytest.fixture(autouse=True)
def project(bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.chdir(bundles["char"].parent.parent)


def called(arguments: list[str], given: bytes = b"") -> Result:
    """What a command prints; its `UserError` is raised, as is any other exception."""
    result = CliRunner().invoke(app, arguments, input=given)
    if result.exception is not None and not (isinstance(result.exception, SystemExit) and result.exit_code == 2):
        raise result.exception
    return result


def is_utf_8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


short = (
    st.sampled_from([token for token in NASTY if len(token) < 100]) | texts.map(str.encode) | st.binary(max_size=9)
    | st.sampled_from([b"the cat sat", b"a b c", b"", b" ", b"the " * 30, "שלום ه\u0301".encode()])
)  # fmt: skip
well = texts.map(str.encode) | st.just(b"the cat")


@st.composite
def inputs(draw: st.DrawFn, long: bool) -> bytes:
    """Some lines, of which one may be long; the last one may lack its end."""
    lines = draw(st.lists(draw(st.sampled_from([short, well])), max_size=5))
    if long and draw(st.integers(0, 9)) == 0:
        unit = draw(st.sampled_from([b"x", b"a b ", b"\x00", "é".encode(), b"\r", b"the cat "]))
        lines.append(unit * (MEGABYTE // len(unit)))
    return (b"\n".join(lines) + draw(st.sampled_from([b"", b"\n"])))[:LARGEST_INPUT]


def lines_in(given: bytes) -> int:
    return len(given.split(b"\n")) - (not given.rpartition(b"\n")[2])


@pytest.mark.parametrize("run", [*UNITS, "3gram"])
@fuzz
@given(st.data())
def test_score(run: str, data: st.DataObject) -> None:
    given = data.draw(inputs(long=run == "3gram"))
    as_json = data.draw(st.booleans())
    options = ["--json"] if as_json else []
    found = execute(
        f"score, {run}", lambda: called(["score", run, *options], given), "standard input: not UTF-8 at byte "
    )
    assert (found is not None) == is_utf_8(given)
    if found is not None:
        printed = found.stdout.split("\n")[:-1]
        assert len(printed) == lines_in(given)
        for line in printed:
            assert json.loads(line)["log_probability"] <= 0 if as_json else len(line.split("\t")) == 3


@pytest.mark.parametrize("command", ["translate", "summarize"])
@fuzz
@given(st.data())
def test_decode(command: str, data: st.DataObject) -> None:
    given = data.draw(inputs(long=True))
    as_json = data.draw(st.booleans())
    options = ["--json"] if as_json else data.draw(st.sampled_from([[], ["--beam", "1"], ["--sample", "--seed", "3"]]))
    call = [command, "translator", "--max-length", "5", *options]
    found = execute(command, lambda: called(call, given), "standard input: not UTF-8 at byte ")
    assert (found is not None) == is_utf_8(given)
    if found is not None:
        printed = found.stdout.split("\n")[:-1]
        assert len(printed) == lines_in(given)
        if as_json:
            sources = [json.loads(line)["source"] for line in printed]
            text = given.decode().removeprefix("\ufeff")
            assert sources == [line.removesuffix("\r") for line in text.split("\n")[: len(printed)]]


prompts = texts | st.text(max_size=5) | st.sampled_from(["\ud800", "a\udcff", "x" * 5_000, "\x00", "--help", "-", ""])


@pytest.mark.parametrize("run", [*UNITS, "3gram"])
@fuzz
@given(prompts, st.sampled_from(["1", "5"]), st.sampled_from(["0.7", "1e-9", "1e9", "nan", "inf", "-1"]))
def test_generate(run: str, prompt: str, length: str, temperature: str) -> None:
    call = ["generate", run, f"--prompt={prompt}", "--length", length, "--temperature", temperature]
    found = execute(f"generate, {run}", lambda: called(call), "--prompt: is not UTF-8", "--temperature")
    if found is not None:
        assert found.stdout.startswith(prompt) and found.stdout.endswith("\n")
