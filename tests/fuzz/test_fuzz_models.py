"""Finished models that were changed on disk, and ARPA files: used as they are, or refused by the file."""

import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import changed, execute, fuzz
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_bad_bundles import CPU, KINDS, UNITS, bundles, copied  # noqa: F401
from test_fuzz_params import places

from unroll.evaluation.settings import CaptionEvaluation, PairEvaluation
from unroll.kinds import load_model
from unroll.kinds.generation import Sampling
from unroll.kinds.ngram.arpa import read_arpa, write_arpa

NAMES = [*UNITS, *KINDS]


def used(folder: Path) -> None:
    """Read a bundle, and ask it for something."""
    model = load_model(folder, CPU)
    if model.task == "language_model":
        found = model.score(["the cat", "", "Ä"])
        assert all(score.tokens > 0 for score in found)
        list(model.stream("the", 5, Sampling(1.0, None, None), (1, 0)))
    elif model.task == "pairs":
        list(model.decode_stream(["a b", "", "x"], PairEvaluation(metric="bleu", beam=2), 1))
    else:
        file = io.BytesIO()
        Image.new("RGB", (9, 9)).save(file, format="PNG")
        model.decode_nbest([model.read(file.getvalue(), "x.png")], CaptionEvaluation(beam=2), 1)


@st.composite
def hostile(draw: st.DrawFn, data: Any) -> Any:
    """JSON with other values at some places, or places taken away."""
    data = json.loads(json.dumps(data))
    there = places(data)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(there[1:]))
        place = data
        try:
            for part in parents:
                place = place[part]
            if draw(st.integers(0, 3)):
                place[last] = draw(json_values)
            else:
                del place[last]
        except (KeyError, IndexError, TypeError):
            continue
    return data


json_values = (
    st.none() | st.booleans() | st.integers(-3, 40) | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
    | st.sampled_from(["ngram", "seq2seq", "language_model", "os", "..", "word", "subword", "\ud800", 10**6, 65536])
    | st.lists(st.integers(-1, 5) | st.text(max_size=3), max_size=4)
    | st.dictionaries(st.text(max_size=4), st.integers(0, 5), max_size=2)
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@fuzz
@given(st.data())
def test_any_change_of_a_bundle(bundles: dict[str, Path], name: str, data: st.DataObject) -> None:  # noqa: F811
    folder = bundles[name].parent.parent / "changed" / name
    shutil.rmtree(folder, ignore_errors=True)
    copied(bundles[name], folder)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    for path in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=2, unique=True)):
        content = (folder / path).read_bytes()
        way = data.draw(st.sampled_from(["bytes", "json", "json", "swap", "remove", "empty"]))
        if way == "json" and path.suffix == ".json":
            (folder / path).write_text(json.dumps(data.draw(hostile(json.loads(content)))))
        elif way == "swap":
            other = bundles[data.draw(st.sampled_from(NAMES))]
            candidates = sorted(file for file in other.rglob("*") if file.suffix == path.suffix and file.is_file())
            if candidates:
                shutil.copyfile(data.draw(st.sampled_from(candidates)), folder / path)
        elif way == "remove":
            (folder / path).unlink()
        elif way == "empty":
            (folder / path).write_bytes(b"")
        else:
            (folder / path).write_bytes(data.draw(changed([content])))
    execute(f"bundle of {name}", lambda: used(folder), str(folder))


@pytest.fixture(scope="module")
def arpa(bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    model = load_model(bundles["3gram"], CPU)
    path = tmp_path_factory.mktemp("arpa") / "model.arpa"
    tokens = [model.vocabulary.tokens([n])[0] for n in range(len(model.vocabulary))]
    write_arpa(model.model, tokens, path)
    return path


ARPA = [
    b"ngram 1=" + b"9" * 5000, b"\\u{110000}", b"\\u{d800}", b"\\u{}", b"nan", b"-inf", b"inf", b"1e999", b"0.5",
    b"\\data\\\n", b"\\end\\\n", b"\\1-grams:\n", b"\\2-grams:\n", b"ngram 4=1\n", b"<unk>", b"<s>", b"</s>", b"\t",
    b"-1 <unk> -1\n", b"-1\ta\t-1\n", b"ngram 2=0\n", b"1_0", "١".encode(),
]  # fmt: skip


@fuzz
@given(st.data())
def test_any_arpa_file(arpa: Path, data: st.DataObject) -> None:
    path = arpa.with_name("bad.arpa")
    path.write_bytes(data.draw(changed([arpa.read_bytes(), SMALL], [*ARPA, b"\x00", b"\xff", b"\r\n"])))

    def read_and_asked() -> None:
        model, tokens = read_arpa(path)
        assert len(set(tokens[4:])) == len(tokens) - 4 == model.vocabulary - 4
        log10p = model.distribution(np.arange(4, model.vocabulary)[:1])
        assert not any(map(math.isnan, log10p.tolist()))
        write_arpa(model, tokens, path.with_name("again.arpa"))

    execute("ARPA", read_and_asked, path.name)


SMALL = (
    b"\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\t-0.3\n-0.5\t</s>\n-0.4\ta\t-0.2\n\n"
    b"\\2-grams:\n-0.2\t<s> a\n-0.3\ta </s>\n\n\\end\\\n"
)
