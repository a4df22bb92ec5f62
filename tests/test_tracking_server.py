"""Several writers at once to one MLflow server, with PostgreSQL and an S3 store of artifacts behind it."""

import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import S3, postgres, s3_server, tracking_server
from test_tracking import METRICS, Project, settings

pytestmark = pytest.mark.cluster

WRITERS, RUNS = 4, 2  # processes, and runs that each of them tracks


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def server(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of MLflow's server, which the environment says, too."""
    with postgres(tmp_path) as database, tracking_server(tmp_path, database, "s3://unroll/mlflow") as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        yield url


def names(writer: int) -> list[str]:
    return [f"run-{writer}-{n}" for n in range(RUNS)]


def finished(folder: Path, name: str, number: int) -> None:
    """A finished run of this name in a folder of its own."""
    project = Project(folder)
    (project.model / "SHA256SUMS").unlink(missing_ok=True)  # changed on purpose
    bundle = json.loads((project.model / "bundle.json").read_text())
    (project.model / "bundle.json").write_text(json.dumps({**bundle, "run": name, "fingerprint": f"{number:016x}"}))
    metrics = {**METRICS, "test": {**METRICS["test"], "perplexity": number}}
    (project.results / "metrics.json").write_text(json.dumps(metrics))


def write(folder: Path, writer: int, start: Any = None) -> None:
    """Track the runs of one writer, once all are ready that share the barrier `start`."""
    from unroll.tracking.run import track_run

    if start is not None:
        start.wait(1200)
    for name in names(writer):
        here = folder / name
        track_run(name, settings(), here / "models", here / "results", here / "encoded")


def write_all(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(WRITERS)
    writers = [context.Process(target=write, args=(folder, writer, start)) for writer in range(WRITERS)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(1800)
    assert [process.exitcode for process in writers] == [0] * WRITERS


def test_several_writers_lose_and_double_nothing(server, s3, tmp_path):
    import s3fs
    from mlflow import MlflowClient

    all_names = [name for writer in range(WRITERS) for name in names(writer)]
    for number, name in enumerate(all_names):
        finished(tmp_path / name, name, number)
    client = MlflowClient(server)
    seen = []
    for again in (False, True):  # the second time nothing is new
        if again:
            write(tmp_path, 0)
        else:
            write_all(tmp_path)
        (experiment,) = [one for one in client.search_experiments() if one.name == "unroll"]
        runs = client.search_runs([experiment.experiment_id])
        by_name = {run.info.run_name: run for run in runs}
        assert sorted(by_name) == sorted(all_names) and len(runs) == len(all_names)
        for number, name in enumerate(all_names):
            run = by_name[name]
            assert run.info.status == "FINISHED"
            assert run.data.metrics["test/perplexity"] == number
            points = client.get_metric_history(run.info.run_id, "train/loss")
            assert [(point.step, point.value) for point in points] == [(10, 3.5), (20, 3.25)]
            (version,) = client.search_model_versions(f"name = '{name}'")
            assert version.run_id == run.info.run_id
        seen.append({name: run.info.run_id for name, run in by_name.items()})
    assert seen[0] == seen[1]
    stored = s3fs.S3FileSystem(use_listings_cache=False).find("unroll/mlflow")
    assert len([path for path in stored if path.endswith("/artifacts/metrics.json")]) == len(all_names)
    copied = client.download_artifacts(seen[0][all_names[-1]], "metrics.json", str(tmp_path))
    assert json.loads(Path(copied).read_text())["test"]["perplexity"] == len(all_names) - 1
