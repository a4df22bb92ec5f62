"""Runs in a real MLflow store: complete, found again, never doubled."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import mlflow.pyfunc
import pytest
import torch
from builders import text_dataset
from mlflow import MlflowClient

from unroll.errors import UserError
from unroll.evaluation.tables import MEASURES
from unroll.kinds.bundle import weights_of, write_bundle
from unroll.kinds.combination.settings import PairCombination
from unroll.kinds.language_model.network import LanguageModel
from unroll.params import LanguageModelRun
from unroll.tracking.run import track_combination, track_run
from unroll.tracking.store import VIEW_TAG, open_store, project_root, tracking_uri

ROOT = Path(__file__).parent.parent
SETTINGS = {
    "dataset": "tiny-char",
    "init": "scratch",
    "model": {"kind": "language_model", "cell": "gru", "embedding": 4, "hidden": 8},
    "train": {"context": "stream", "bptt": 8, "batch_size": 4, "lr": 0.01, "steps": 20},
    "evaluate": {"samples": 2, "prompts": ["", "The "]},
    "seed": 3,
}
HISTORY = """\
step,epoch,lr,train_loss,valid_loss,grad_norm,clipped
10,0.5,0.01,3.5,,1.25,0
20,1,0.005,3.25,3.375,0.75,1
"""
TIMING = """\
step,time,seconds,tokens_per_second,cpu_percent,peak_ram_bytes,peak_gpu_bytes
10,1700000002.5,2.5,100,95,1000,
20,1700000005,5,300,99,2000,
"""
METRICS = {
    "test": {"perplexity": 20.5, "bits_per_char": 2.25, "texts": 6, "chars": 90, "unit": "char", "context": "stream"},
    "fluency": {"generated": {"distinct_2": 0.5}},
    "baseline": {"nearest": {"perplexity": 77.25}},
    "cost": {"parameters": 1234, "steps": 20, "model_bytes": 5000},
}
STAMPS = [1_700_000_002_500, 1_700_000_005_000]


def settings(**changes) -> LanguageModelRun:
    return LanguageModelRun.model_validate({**SETTINGS, **changes})


MANIFEST = {
    "dataset": "tiny-char",
    "corpus": "tiny",
    "licence": "CC0",
    "max_length": 30,
    "sha256": "ab" * 32,
    "splits": {"train": {"rows": 60}},
}
FIELDS = {"text": {"unit": "char", "vocabulary": "text", "size": 20}}


class Project:
    """A folder as the pipeline leaves it after evaluating the run `tiny`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model, self.results, self.data = folder / "models", folder / "results", folder / "encoded"
        for path in (self.results / "figures", self.data):
            path.mkdir(parents=True)
        texts = text_dataset(folder / "texts", ["a short text", "the other text"], {"unit": "char"})
        torch.manual_seed(1)
        network = LanguageModel(settings().model, len(texts.vocabularies["text"]))
        bundle = {
            "run": "tiny",
            "kind": "language_model",
            "fingerprint": "0123456789abcdef",
            "seed": 3,
            **{key: MANIFEST[key] for key in ("dataset", "corpus", "licence", "max_length")},
            "fields": FIELDS,
            "settings": settings().model_dump(mode="json"),
            "cost": {"parameters": 1234, "steps": 20},
        }
        write_bundle(self.model, bundle, weights_of(network), folder / "texts" / "vocab")
        (self.results / "history.csv").write_text(HISTORY)
        (self.results / "timing.csv").write_text(TIMING)
        (self.results / "metrics.json").write_text(json.dumps(METRICS))
        (self.results / "samples.md").write_text("# Samples\n")
        (self.results / "figures" / "learning_curve.png").write_bytes(b"a picture")
        (self.data / "manifest.json").write_text(json.dumps({**MANIFEST, "fields": FIELDS}))
        (self.data / "report.json").write_text("{}")

    def track(self, **changes):
        return track_run("tiny", settings(**changes), self.model, self.results, self.data)

    def runs(self):
        with open_store() as (client, experiment):
            return client.search_runs([experiment])

    def snapshot(self, run_id: str):
        """All that MLflow knows of a run."""
        client = MlflowClient(tracking_uri())
        run = client.get_run(run_id)
        series = {
            key: [(point.step, point.timestamp, point.value) for point in client.get_metric_history(run_id, key)]
            for key in run.data.metrics
        }
        times = run.info.status, run.info.start_time, run.info.end_time
        inputs = [(each.dataset.name, each.dataset.digest) for each in run.inputs.dataset_inputs]
        return times, series, run.data.params, run.data.tags, inputs, self.artifacts(run_id)

    def artifacts(self, run_id: str) -> set[str]:
        client = MlflowClient(tracking_uri())
        tops = client.list_artifacts(run_id)
        inner = [each for top in tops if top.is_dir for each in client.list_artifacts(run_id, top.path)]
        return {each.path for each in [*tops, *inner] if not each.is_dir}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory) -> Path:
    """A store without runs; making one takes seconds, copying it does not."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("store")
        patch.setenv("DVC_ROOT", str(root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with open_store():
            return root / "mlruns"


@pytest.fixture
def project(tmp_path, monkeypatch, empty_store) -> Project:
    project = Project(tmp_path / "un roll")
    shutil.copytree(empty_store, project.folder / "mlruns")
    monkeypatch.setenv("DVC_ROOT", str(project.folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return project


def test_everything_is_logged(project):
    tracked = project.track()
    times, series, params, tags, inputs, artifacts = project.snapshot(tracked.run_id)
    assert times == ("FINISHED", 1_700_000_000_000, 1_700_000_005_000)
    assert series["train/loss"] == [(10, STAMPS[0], 3.5), (20, STAMPS[1], 3.25)]
    assert series["valid/loss"] == [(20, STAMPS[1], 3.375)]
    assert series["train/lr"] == [(10, STAMPS[0], 0.01), (20, STAMPS[1], 0.005)]
    assert series["train/tokens_per_second"] == [(10, STAMPS[0], 100), (20, STAMPS[1], 300)]
    assert series["system/cpu_percent"] == [(10, STAMPS[0], 95), (20, STAMPS[1], 99)]
    assert "system/peak_gpu_megabytes" not in series
    assert not any(key.startswith("baseline/") for key in series) and "77.25" in tags["mlflow.note.content"]
    final = {key: value for key, ((step, _, value), *_) in series.items() if step == 0}
    assert (
        final.items()
        >= {
            "test/perplexity": 20.5,
            "test/bits_per_char": 2.25,
            "fluency/generated/distinct_2": 0.5,
            "cost/parameters": 1234,
            "cost/seconds": 5,
            "cost/tokens_per_second": 200,
            "cost/peak_ram_bytes": 2000,
        }.items()
    )
    assert (
        params.items()
        >= {
            "dataset": "tiny-char",
            "init": "scratch",
            "model.cell": "gru",
            "train.lr": "0.01",
            "train.epochs": "null",
            "evaluate.prompts": '["", "The "]',
            "seed": "3",
            "data.corpus": "tiny",
            "data.text.unit": "char",
        }.items()
    )
    assert (
        tags.items()
        >= {
            "mlflow.runName": "tiny",
            "unroll.run": "tiny",
            "unroll.fingerprint": "0123456789abcdef",
            "corpus": "tiny",
            "dataset": "tiny-char",
            "kind": "language_model",
            "unit": "char",
            "cell": "gru",
            "test/context": "stream",
        }.items()
    )
    table = "| --- | ---: | ---: |\n| bits_per_char | 2.25 |  |\n| perplexity | 20.5 | 77.25 |"
    assert table in tags["mlflow.note.content"]
    assert inputs == [("tiny-char", "abababab")]
    assert artifacts == {
        "metrics.json",
        "report.json",
        "samples.md",
        "history.csv",
        "timing.csv",
        "figures/learning_curve.png",
    }


def test_the_model_is_logged_and_registered_under_the_name_of_the_run(project):
    tracked = project.track()
    client = MlflowClient(tracking_uri())
    (version,) = client.search_model_versions("name = 'tiny'")
    assert version.run_id == tracked.run_id
    (output,) = client.get_run(tracked.run_id).outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert (logged.name, logged.status, logged.source_run_id) == ("tiny", "READY", tracked.run_id)
    assert {metric.key: metric.value for metric in logged.metrics}["test/perplexity"] == 20.5
    model = mlflow.pyfunc.load_model(version.source)
    assert "prompt" in str(model.metadata.signature.inputs)
    (scored,) = model.predict([{"text": "a text"}])
    assert scored["chars"] == 7


def test_a_model_follows_its_run(project, tmp_path, monkeypatch):
    """Replaced with it, and found again where the project is moved to."""
    project.track()
    (project.results / "metrics.json").write_text(json.dumps({**METRICS, "test": {**METRICS["test"], "texts": 7}}))
    second = project.track()
    moved = tmp_path / "else where"
    project.folder.rename(moved)
    monkeypatch.setenv("DVC_ROOT", str(moved))
    with open_store() as (client, experiment):
        (version,) = client.search_model_versions("name = 'tiny'")
        assert version.run_id == second.run_id
        assert len(client.search_logged_models([experiment])) == 1
        assert mlflow.pyfunc.load_model(client.get_model_version_download_uri("tiny", version.version))


def test_a_run_that_is_there_twice_is_there_once_when_it_is_tracked_again(project):
    """As after two machines that tracked it at the same moment."""
    first = project.track()
    client = MlflowClient(tracking_uri())
    tags = {key: text for key, text in client.get_run(first.run_id).data.tags.items() if key.startswith("unroll.")}
    client.create_run(first.experiment_id, tags=tags)
    second = project.track()
    assert [run.info.run_id for run in project.runs()] == [second.run_id]
    (version,) = client.search_model_versions("name = 'tiny'")
    assert version.run_id == second.run_id


def test_a_combination_is_logged_like_a_run_that_was_not_trained(project):
    for name in ("history.csv", "timing.csv"):
        (project.results / name).unlink()
    settings = PairCombination(dataset="tiny-char", runs=["tiny", "other"])
    first = track_combination("both", settings, [project.model] * 2, project.results, project.data)
    times, series, params, tags, inputs, artifacts = before = project.snapshot(first.run_id)
    assert times[0] == "FINISHED" and times[1] == times[2]
    assert series["test/perplexity"] == [(0, times[1], 20.5)]
    assert params["runs"] == '["tiny", "other"]' and params["data.corpus"] == "tiny"
    assert tags["kind"] == "combination"
    assert "A combination of `tiny`, `tiny` on the data set `tiny-char`" in tags["mlflow.note.content"]
    assert {"metrics.json", "samples.md", "figures/learning_curve.png"} <= artifacts
    assert inputs == [("tiny-char", "abababab")]
    assert track_combination("both", settings, [project.model] * 2, project.results, project.data) == first
    assert project.snapshot(first.run_id) == before


def test_logging_again_changes_nothing(project):
    first = project.track()
    before = project.snapshot(first.run_id)
    assert project.track() == first
    assert project.snapshot(first.run_id) == before
    assert len(project.runs()) == 1


def test_a_run_whose_logging_broke_off_is_completed(project, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_inputs", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            project.track()
    (broken,) = project.runs()
    assert broken.info.status == "RUNNING"
    assert project.track().run_id == broken.info.run_id
    assert project.snapshot(broken.info.run_id)[0][0] == "FINISHED"


def test_other_results_of_the_same_fingerprint_replace_the_run(project):
    first = project.track()
    (project.results / "metrics.json").write_text(
        json.dumps({**METRICS, "test": {**METRICS["test"], "perplexity": 19.0}})
    )
    second = project.track()
    (run,) = project.runs()
    assert run.info.run_id == second.run_id != first.run_id
    assert run.data.metrics["test/perplexity"] == 19.0


def test_other_settings_of_the_evaluation_are_another_run(project):
    """They do not train again, so the fingerprint in the bundle stays."""
    first, second = project.track(), project.track(evaluate={"samples": 9})
    assert second.fingerprint != first.fingerprint
    assert len(project.runs()) == 2
    assert project.track() == first


def test_a_param_longer_than_mlflow_takes_is_cut(project):
    tracked = project.track(evaluate={"prompts": ["x" * 7000]})
    assert project.track(evaluate={"prompts": ["x" * 7000]}) == tracked
    value = project.snapshot(tracked.run_id)[2]["evaluate.prompts"]
    assert value == '["' + "x" * 5997 + "…"


def test_a_long_history_is_logged_whole(project):
    """More than one call takes."""
    steps = range(1, 501)
    rows = "".join(f"{step},{step / 500},0.01,3,3,1,0\n" for step in steps)
    times = "".join(f"{step},{1_700_000_000 + step},{step},100,99,1000,\n" for step in steps)
    (project.results / "history.csv").write_text(HISTORY.splitlines(keepends=True)[0] + rows)
    (project.results / "timing.csv").write_text(TIMING.splitlines(keepends=True)[0] + times)
    series = project.snapshot(project.track().run_id)[1]
    assert [step for step, _, _ in series["valid/loss"]] == list(steps)
    assert [(step, value) for step, _, value in series["system/peak_ram_megabytes"]] == [(n, 0.001) for n in steps]


def test_the_table_of_runs_begins_with_the_figures_that_runs_are_compared_by(project):
    """Also in a store that an earlier version made."""
    with open_store() as (client, experiment):
        client.set_experiment_tag(experiment, VIEW_TAG, "{}")
    with open_store() as (client, experiment):
        view = json.loads(client.get_experiment(experiment).tags[VIEW_TAG])
    shown = [column for column in view["selectedColumns"] if column.startswith("metrics.")]
    measured = {f"metrics.`test/{measure.key}`" for measure in MEASURES}
    assert shown[0] == "metrics.`test/bits_per_char`"
    assert set(shown) <= {*measured, "metrics.`cost/parameters`"}
    assert set(view["selectedColumns"]) <= set(view["columnOrder"])


def test_a_deleted_experiment_comes_back(project):
    with open_store() as (client, experiment):
        client.delete_experiment(experiment)
    assert project.track().experiment_id == experiment
    assert len(project.runs()) == 1


def test_artifacts_follow_a_project_that_was_moved(project, tmp_path, monkeypatch):
    first = project.track()
    moved = tmp_path / "else where"
    project.folder.rename(moved)
    monkeypatch.setenv("DVC_ROOT", str(moved))
    with open_store():
        assert "samples.md" in project.artifacts(first.run_id)
    project.model, project.results, project.data = moved / "models", moved / "results", moved / "encoded"
    second = project.track(seed=4)
    assert "samples.md" in project.artifacts(second.run_id)
    assert not project.folder.exists()


def test_the_environment_says_where_runs_are_tracked(project, tmp_path, monkeypatch):
    other = f"sqlite:///{tmp_path}/other.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", other)
    assert project.track().uri == other
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert project.runs() == []


@pytest.mark.parametrize(
    ("made", "here", "expected"),
    [
        ([".git", ".dvc"], "a/b", "."),
        ([".git", "a/.dvc"], "a/b", "a"),
        ([".git"], "a/b", "."),
        ([], "a/b", "a/b"),
    ],
)
def test_the_project_root(tmp_path, monkeypatch, made, here, expected):
    for name in [*made, here]:
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path / here)
    assert project_root() == (tmp_path / expected).resolve()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "real"))
    assert project_root() == (tmp_path / "real").resolve()


@pytest.mark.parametrize("missing", ["metrics.json", "timing.csv"])
def test_a_run_without_results_is_refused(project, missing):
    (project.results / missing).unlink()
    with pytest.raises(UserError, match="dvc repro track@tiny"):
        project.track()
    assert project.runs() == []


@pytest.mark.parametrize("answers", [None, 500, 404])
def test_a_server_that_is_away_or_cannot_is_told_and_logged_to_when_it_is_back(project, tmp_path, monkeypatch, answers):
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(answers)

        do_POST = do_GET

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    uri = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    if answers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    else:
        server.server_close()
    with pytest.raises(UserError, match=f"MLflow at {uri}: .*once MLflow is back, run this again"):
        project.track()
    if answers:
        server.shutdown()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/back.db")
    monkeypatch.chdir(tmp_path)
    assert project.track().uri.endswith("back.db")


def test_two_processes_may_create_the_store_at_once(tmp_path):
    """Both run the stage's own script, in a folder with a space in its name, outside git."""
    project = Project(tmp_path / "un roll")
    corpus = {"source": "files", "path": "x", "train": "a.txt", "valid": "b.txt", "test": "c.txt"}
    dataset = {"corpus": "tiny", "fields": {"text": {"unit": "char"}}, "max_length": 30}
    params = {
        "corpora": {"tiny": corpus},
        "datasets": {"tiny-char": dataset},
        "combinations": {},
        "runs": {"tiny": SETTINGS, "two": SETTINGS},
    }
    (project.folder / "params.yaml").write_text(json.dumps(params))
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    environment |= {"DVC_ROOT": str(project.folder)}
    folders = ["--model", "models", "--results", "results", "--data", "encoded"]
    started = [
        subprocess.Popen(
            [sys.executable, ROOT / "pipeline" / "track.py", name, *folders, "--receipt", f"receipts/{name}.json"],
            cwd=project.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("tiny", "two")
    ]
    for process in started:
        output, _ = process.communicate(timeout=120)
        assert (process.returncode, output) == (0, "")
    receipts = [SimpleNamespace(**json.loads(path.read_text())) for path in (project.folder / "receipts").iterdir()]
    assert len({receipt.run_id for receipt in receipts}) == 2
    assert {receipt.experiment_id for receipt in receipts} == {"1"}
    assert {receipt.uri for receipt in receipts} == {f"sqlite:///{project.folder.resolve()}/mlruns/mlflow.db"}
