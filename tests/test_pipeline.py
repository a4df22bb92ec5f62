"""The real pipeline on a tiny corpus: what a change runs again, and that nothing else runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
COPIED = ("src", "pipeline", "dvc.yaml", "pyproject.toml", ".gitignore", ".dvcignore")
WORDS = ["the", "network", "reads", "a", "short", "text", "and", "writes", "what", "it", "has", "learned"]


def sentences(count: int, seed: int) -> list[str]:
    """Distinct sentences of `WORDS`, each the digits of a number in base 12."""
    return [" ".join(WORDS[(number * 7 + seed) // 12**place % 12] for place in range(5)) for number in range(count)]


LANGUAGE_MODEL: dict[str, Any] = {
    "dataset": "tiny-char",
    "init": "scratch",
    "model": {"kind": "language_model", "cell": "lstm", "embedding": 4, "hidden": 8},
    "train": {"context": "stream", "bptt": 8, "batch_size": 4, "lr": 0.01, "steps": 4},
    "evaluate": {"samples": 2, "sample_tokens": 10},
    "seed": 1,
}
PARAMS: dict[str, Any] = {
    "corpora": {
        "tiny": {
            "source": "files",
            "path": "data/tiny",
            "train": "train.txt",
            "valid": "valid.txt",
            "test": "test.txt",
        },
        "pairs": {
            "source": "files",
            "path": "data/pairs",
            "train": {"en": "train.en", "xx": "train.xx"},
            "valid": {"en": "valid.en", "xx": "valid.xx"},
            "test": {"en": "test.en", "xx": "test.xx"},
        },
    },
    "datasets": {
        "tiny-char": {"corpus": "tiny", "fields": {"text": {"unit": "char"}}, "max_length": 30},
        "pairs-word": {
            "corpus": "pairs",
            "fields": {"source": {"column": "en", "unit": "word"}, "target": {"column": "xx", "unit": "word"}},
            "max_length": 20,
        },
    },
    "runs": {
        "lm": LANGUAGE_MODEL,
        "translator": {
            "dataset": "pairs-word",
            "init": "scratch",
            "model": {"kind": "seq2seq", "cell": "gru", "embedding": 4, "hidden": 8},
            "train": {"batch_size": 8, "lr": 0.01, "steps": 4},
            "evaluate": {"metric": "bleu", "beam": 2},
            "seed": 1,
        },
    },
    "combinations": {},
    "compute": {"device": "cpu", "threads": 1},
}


class Project:
    """A clone of the project with small data, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder / "src"),
        }
        environment.pop("MLFLOW_TRACKING_URI", None)
        done = subprocess.run(command, cwd=self.folder, env=environment, text=True, capture_output=True)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def repro(self) -> list[str]:
        """Run the pipeline; return the stages that really ran."""
        return re.findall(r"Running stage '([^']+)'", self.run("dvc", "repro").stdout)

    def write(self, params: dict[str, Any]) -> None:
        with (self.folder / "params.yaml").open("w") as file:
            YAML().dump(params, file)

    def edit(self, path: str, value: Any) -> None:
        """Set one value of params.yaml, `path` with slashes."""
        yaml = YAML(typ="safe")
        params = yaml.load((self.folder / "params.yaml").read_text())
        *parents, last = path.split("/")
        place = params
        for parent in parents:
            place = place[parent]
        place[last] = value
        self.write(params)


def build(folder: Path, params: dict[str, Any]) -> Project:
    """A project with small data whose pipeline has not run yet."""
    project = Project(folder)
    project.folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, project.folder / name)
    project.run("git", "init", "-q")
    project.run("dvc", "init", "-q")
    for corpus, suffixes in (("tiny", [".txt"]), ("pairs", [".en", ".xx"])):
        data = project.folder / "data" / corpus
        data.mkdir(parents=True)
        for seed, (split, count) in enumerate({"train": 60, "valid": 10, "test": 10}.items()):
            for suffix in suffixes:
                lines = [s[::-1] if suffix == ".xx" else s for s in sentences(count, seed * 10_000)]
                (data / f"{split}{suffix}").write_text("".join(f"{line}\n" for line in lines))
    project.write(params)
    return project


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    """A project, in a folder with a space in its name, whose pipeline has run once."""
    project = build(tmp_path_factory.mktemp("a clone") / "un roll", PARAMS)
    project.repro()
    return project


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A copy of the finished project, free to be changed."""
    folder = tmp_path / "copy of un roll"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return Project(folder)


def test_every_output_is_there(finished):
    for path in (
        "data/raw/tiny/corpus.json",
        "data/encoded/tiny-char/manifest.json",
        "models/lm/weights.safetensors",
        "results/lm/history.csv",
        "results/lm/metrics.json",
        "results/lm/samples.md",
        "results/translator/metrics.json",
        "predictions/translator",
        "mlruns/mlflow.db",
        "mlruns/receipts/lm.json",
        "report/comparison.md",
        "report/comparison.html",
        "predictions/lm/samples.jsonl",
        "report/comparison.json",
    ):
        assert (finished.folder / path).exists(), path


def test_a_second_run_does_nothing(project):
    assert project.repro() == []


def test_forced_a_finished_training_starts_over_and_ends_with_the_same_bits(project):
    project.edit("runs/lm/train/schedule", "cosine")  # with a constant one it could go on to a larger budget
    project.run("dvc", "repro", "evaluate@lm")
    weights = project.folder / "models" / "lm" / "weights.safetensors"
    before = weights.read_bytes()
    told = project.run("dvc", "repro", "--force", "--single-item", "train@lm")
    assert "goes on from step" not in told.stdout + told.stderr
    assert weights.read_bytes() == before
    again = project.run("dvc", "repro", "--force", "--single-item", "train@lm")  # not evaluated: it is at its end
    assert "goes on from step 4" in again.stdout + again.stderr
    assert weights.read_bytes() == before


def test_a_changed_learning_rate_runs_that_run_again_and_nothing_else(project):
    project.edit("runs/lm/train/lr", 0.02)
    assert project.repro() == ["train@lm", "evaluate@lm", "track@lm", "compare"]
    project.edit("runs/lm/train/lr", 0.01)
    # The old outputs come back from the cache; only what leaves the cache is made anew.
    assert set(project.repro()) <= {"track@lm", "compare"}


def test_a_changed_length_encodes_that_dataset_again_and_what_follows(project):
    project.edit("datasets/tiny-char/max_length", 12)
    assert project.repro() == ["encode@tiny-char", "train@lm", "evaluate@lm", "track@lm", "compare"]


def test_a_changed_vocabulary_is_built_again_and_not_taken_from_the_run_cache(project):
    project.edit("datasets/pairs-word/fields/target/max_size", 5)
    assert project.repro()[:3] == ["vocab@pairs-word", "encode@pairs-word", "train@translator"]


def test_an_edited_file_of_a_corpus_runs_that_corpus_again(project):
    path = project.folder / "data" / "tiny" / "train.txt"
    path.write_text(path.read_text().replace("network", "cell"))
    assert project.repro() == [
        "fetch@tiny",
        "vocab@tiny-char",
        "encode@tiny-char",
        "train@lm",
        "evaluate@lm",
        "track@lm",
        "compare",
    ]


def test_a_new_run_is_an_entry_and_nothing_else(project):
    project.edit("runs/lm-gru", {**LANGUAGE_MODEL, "model": {**LANGUAGE_MODEL["model"], "cell": "gru"}})
    assert project.repro() == ["train@lm-gru", "evaluate@lm-gru", "track@lm-gru", "compare"]
    assert all("lm-gru" in (project.folder / "report" / f"comparison.{kind}").read_text() for kind in ("md", "html"))


NGRAM: dict[str, Any] = {
    "dataset": "tiny-char",
    "init": "scratch",
    "model": {"kind": "ngram", "order": 3},
    "train": {},
    "evaluate": LANGUAGE_MODEL["evaluate"],
    "seed": 1,
}


def test_a_run_without_gradients_goes_the_same_way(project):
    project.edit("runs/lm-3gram", NGRAM)
    assert project.repro() == ["train@lm-3gram", "evaluate@lm-3gram", "track@lm-3gram", "compare"]
    results = project.folder / "results" / "lm-3gram"
    metrics = YAML(typ="safe").load((results / "metrics.json").read_text())
    assert metrics["test"]["context"] == "text"
    assert {"parameters", "model_bytes", "memory_bytes"} <= set(metrics["cost"])
    assert (results / "figures" / "learning_curve.png").exists()
    assert "| lm-3gram | ngram | char |" in (project.folder / "report" / "comparison.md").read_text()
    project.edit("runs/lm-3gram/train", {"context": "stream"})
    assert project.repro() == ["train@lm-3gram", "evaluate@lm-3gram", "track@lm-3gram", "compare"]
    tables = YAML(typ="safe").load((project.folder / "report" / "comparison.json").read_text())["tables"]
    assert set(tables["tiny"]["stream"]) == {"lm", "lm-3gram"}
    project.edit("combinations/both", {"dataset": "tiny-char", "runs": ["lm", "lm-3gram"], "evaluate": {}})
    assert set(project.repro()) == {"combine@both", "track_combination@both", "compare"}
    tables = YAML(typ="safe").load((project.folder / "report" / "comparison.json").read_text())["tables"]
    assert tables["tiny"]["stream"]["both"]["cell"] == "combination"


def test_runs_are_combined_as_an_entry_says(project):
    run = PARAMS["runs"]["translator"]
    project.edit("runs/translator-2", run | {"seed": 2})
    evaluate = run["evaluate"]
    project.edit(
        "combinations/two", {"dataset": "pairs-word", "runs": ["translator", "translator-2"], "evaluate": evaluate}
    )
    assert set(project.repro()) >= {"train@translator-2", "combine@two", "compare"}
    results = project.folder / "results" / "two"
    metrics = YAML(typ="safe").load((results / "metrics.json").read_text())
    single = YAML(typ="safe").load((project.folder / "results" / "translator" / "metrics.json").read_text())
    assert metrics["cost"]["parameters"] == 2 * single["cost"]["parameters"]
    assert metrics["signature"] == single["signature"]
    assert (results / "samples.md").exists()
    project.edit("combinations/two/evaluate", {**evaluate, "beam": 1})
    assert set(project.repro()) == {"combine@two", "track_combination@two", "compare"}


def turned(value: Any) -> Any:
    """The same dictionaries with their keys in the other order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return value


def test_keys_in_another_order_run_nothing_again(project):
    project.write(turned(PARAMS))
    assert project.repro() == []


def test_compute_settings_run_nothing_again(project):
    project.edit("compute/threads", 2)
    assert project.repro() == []


def test_a_lost_mlflow_store_is_filled_again(project):
    shutil.rmtree(project.folder / "mlruns")
    assert sorted(project.repro()) == ["track@lm", "track@translator"]
    assert (project.folder / "mlruns" / "mlflow.db").exists()


def test_a_clone_with_results_but_without_data_runs_whole(project):
    """dvc.lock, results/ and report/ are committed, the rest is not, the page of the comparison with it: all runs."""
    for name in ("data/raw", "data/vocab", "data/encoded", "models", "predictions", "mlruns", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project.folder / name)
    (project.folder / "report" / "comparison.html").unlink()
    before = (project.folder / "results" / "lm" / "metrics.json").read_bytes()
    ran = project.repro()
    assert len(ran) == 14 and ran[-1] == "compare"
    assert (project.folder / "report" / "comparison.html").exists()
    assert (project.folder / "results" / "lm" / "metrics.json").read_bytes() == before


@pytest.mark.slow
def test_side_by_side_gives_the_same(project):
    """All but what depends on the clock: `unroll repro --jobs 2` from nothing, against `dvc repro`."""
    yaml = YAML(typ="safe")
    outputs = ("data/raw", "data/vocab", "data/encoded", "models", "predictions", "results", "report", "mlruns")
    for name in (*outputs, ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project.folder / name)
    lock = project.folder / "dvc.lock"
    serial = yaml.load(lock.read_text())["stages"]
    lock.unlink()
    project.run(sys.executable, "-c", "from unroll.cli import main; main()", "repro", "--jobs", "2")
    stages = yaml.load(lock.read_text())["stages"]
    assert set(stages) == set(serial)

    def hashes(outs: list[dict[str, Any]]) -> dict[str, str]:
        return {out["path"]: out["md5"] for out in outs if not out["path"].endswith("timing.csv")}

    for name in set(stages) - {"track@lm", "track@translator", "compare"}:
        assert hashes(stages[name]["outs"]) == hashes(serial[name]["outs"]), name
    assert project.repro() == []


def test_the_same_seed_gives_the_same_bits(project):
    names = (
        "models/lm/weights.safetensors",
        "results/lm/history.csv",
        "results/lm/metrics.json",
        "results/lm/samples.md",
    )
    before = [(project.folder / name).read_bytes() for name in names]
    project.run("dvc", "repro", "-f", "-s", "train@lm", "evaluate@lm")
    assert [(project.folder / name).read_bytes() for name in names] == before


def test_bad_params_stop_a_stage_with_a_line_and_code_2(project):
    project.edit("runs/lm/train/lr", "fast")
    options = ("data", "vocab", "init", "model", "results", "checkpoints")
    paths = [part for name in options for part in (f"--{name}", "x")]
    done = project.run(sys.executable, "pipeline/train.py", "lm", *paths, check=False)
    assert done.returncode == 2
    assert "runs.lm.train.lr: should be a number, found 'fast' (str)" in done.stderr
    assert "Traceback" not in done.stderr
