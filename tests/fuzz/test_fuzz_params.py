"""params.yaml and the presets with anything in them: read, or refused with what is wrong."""

import copy
import datetime
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, changed, execute, fuzz
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from unroll.cli.machine import lacking
from unroll.cli.new_run import new_run
from unroll.errors import UserError
from unroll.params import load, load_compute

FILES = [ROOT / "params.yaml", *sorted((ROOT / "presets").glob("*.yaml"))]
SEEDS = [path.read_bytes() for path in FILES]
WORDS = [word.encode() for word in ("scratch", "char-lstm", "runs:\n", "  x:\n", "true", "!!set {a, b}", "2020-01-01")]
PARSED = [YAML(typ="safe").load(seed) for seed in SEEDS]


@pytest.fixture(autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, since paths in params.yaml are looked for."""
    folder = tmp_path_factory.mktemp("params")
    for name in ("requirements", "src"):
        (folder / name).symlink_to(ROOT / name)
    monkeypatch.chdir(folder)
    return folder


def checked(path: Path) -> None:
    """What `unroll check` does."""
    if problems := list(lacking(load(path))):
        raise UserError(f"params.yaml: {problem}" for problem in problems)


@fuzz
@given(changed(SEEDS, [*WORDS, b"\n", b"  ", b"*char-train", b"&char-train "]))
def test_any_text(content: bytes) -> None:
    path = Path("params.yaml")
    path.write_bytes(content)
    execute("params.yaml: text", lambda: checked(path), "params.yaml")
    execute("params.yaml: compute alone", lambda: load_compute(path), "params.yaml")


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested dictionaries and lists."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


PLACES = [(number, place) for number, data in enumerate(PARSED) for place in places(data)]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([0, 1, 2, 10**5, 10**12, 0.5, float("nan"), float("inf"), -0.0, 1e308, 10**400])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["scratch", "lstm", "seq2seq", "a;b", "$(touch x)", "--help", "..", "/", "a\x00b", "é" * 300])
    | st.just(datetime.date(2020, 1, 1))
    | st.binary(max_size=4)
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | scalars, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def structures(draw: st.DrawFn) -> Any:
    """The data of a file with values in other places, and values put in the place of others."""
    number = draw(st.integers(0, len(PARSED) - 1))
    data = copy.deepcopy(PARSED[number])
    there = places(data)
    for _ in range(draw(st.integers(1, 5))):
        *parents, last = draw(st.sampled_from(there[1:]))
        place = data
        try:
            for part in parents:
                place = place[part]
            match draw(st.sampled_from(["put", "put", "delete", "rename", "copy"])):
                case "put":
                    place[last] = draw(values)
                case "delete":
                    del place[last]
                case "rename":
                    place[draw(scalars)] = place.pop(last)
                case "copy":
                    other_number, other = draw(st.sampled_from(PLACES))
                    found: Any = PARSED[other_number]
                    for part in other:
                        found = found[part]
                    place[last] = copy.deepcopy(found)
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # an earlier change took the place away
    return data


@fuzz
@given(structures())
def test_any_structure(data: Any) -> None:
    path = Path("params.yaml")
    with path.open("w", encoding="utf-8", errors="surrogatepass") as file:
        YAML(typ="safe").dump(data, file)
    execute("params.yaml: structure", lambda: checked(path), "params.yaml")


WELL = SEEDS[0].decode()
KEYS = ["model.hidden", "train.lr", "seed", "model", "", ".", "a.b.c", "dataset", "init", "evaluate.prompts"]


@fuzz
@given(
    st.just("new") | st.sampled_from(["char-lstm", "a;b", "$(touch x)", "a\nb", ""]) | st.text(max_size=8),
    st.sampled_from(["char-lstm", "translator", "none"]) | st.text(max_size=8),
    st.lists(
        st.tuples(st.sampled_from(KEYS), st.sampled_from(["1", "[", "{a: *b}", "!!set {}"]) | st.text(max_size=9)),
        max_size=2,
    ),
)
def test_any_new_run(name: str, source: str, changes: list[tuple[str, str]]) -> None:
    path = Path("params.yaml")
    path.write_text(WELL, encoding="utf-8")
    words = [f"{key}={value}" for key, value in changes]
    # A change that is wrong is named by itself.
    execute(
        "new-run", lambda: new_run(name, source, words), "params.yaml", "--from", "no run", "there is a run", *words
    )
    assert not Path("x").exists()
    load(path)
