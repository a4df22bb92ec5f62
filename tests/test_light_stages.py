"""The stages that work on text alone start without what they do not use."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "mlflow", "dvc", "datasets", "matplotlib", "sklearn", "scipy", "transformers", "sacrebleu"}
STAGES = [
    ["fetch", "mine", "--out", "raw"],
    ["vocab", "words", "--raw", "raw", "--out", "vocab"],
    ["encode", "words", "--raw", "raw", "--vocab", "vocab", "--out", "encoded"],
]
PARAMS = {
    "corpora": {"mine": {"source": "files", "path": "texts", "train": "a.txt", "valid": "b.txt", "test": "c.txt"}},
    "datasets": {
        "words": {"corpus": "mine", "fields": {"text": {"unit": "word"}}, "max_length": 9},
    },
    "runs": {},
    "combinations": {},
}
CODE = """
import sys
from runpy import run_path
stages = {stages!r}
for name, *arguments in stages:
    sys.argv = [name, *arguments]
    try:
        run_path(f"{root}/pipeline/{{name}}.py", run_name="__main__")
    except SystemExit as done:
        assert not done.code, (name, done.code)
print("LOADED", *{{name.partition('.')[0] for name in sys.modules}})
"""


@pytest.mark.parametrize("unit", ["word", "subword"])
def test_text_is_fetched_counted_and_encoded_without_torch_or_mlflow(tmp_path, unit):
    (tmp_path / "texts").mkdir()
    for name in "abc":
        (tmp_path / "texts" / f"{name}.txt").write_text("a small text\nof two lines\n" * 40)
    size = {"max_size": 280} if unit == "subword" else {}
    PARAMS["datasets"]["words"]["fields"]["text"] = {"unit": unit, **size}
    (tmp_path / "params.yaml").write_text(json.dumps(PARAMS))  # YAML has JSON in it
    code = CODE.format(stages=STAGES, root=ROOT)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "encoded" / "manifest.json").is_file()
    loaded = set(done.stdout.partition("LOADED ")[2].split())
    assert "numpy" in loaded
    assert loaded & HEAVY == set()
