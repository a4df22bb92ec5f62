"""The model of a run in MLflow: logged without pickle, and registered under the run's name."""

import base64
import io
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow.pyfunc
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from PIL import Image

from unroll.exported.export import export_run
from unroll.files import read_json
from unroll.kinds.bundle import INFO
from unroll.tracking.shown import Subject

PACKAGE = Path(__file__).parent.parent
SCRIPTS = {"seq2seq": "pairs.py", "language_model": "text.py", "ngram": "text.py", "captioner": "captions.py"}
"""What answers for a kind of model."""
NEEDED = ("torch", "numpy", "pydantic", "safetensors", "sentencepiece", "pyphen", "pyarrow", "ruamel.yaml", "pillow")
"""Packages that a served model imports."""


def log_model(client: MlflowClient, run: Run, subject: Subject, model: Path, results: Path, note: str) -> str:
    """Log the bundle `model` as the model of `run` and register it, each once; return the logged model's id.

    What is logged is what `unroll export` writes, a script that answers requests, and the code of this package.
    """
    run_id = run.info.run_id
    logged = next((output.model_id for output in run.outputs.model_outputs), None) if run.outputs else None
    if logged is None:
        created = client.create_logged_model(
            run.info.experiment_id, subject.name, source_run_id=run_id, model_type=subject.kind
        )
        logged = created.model_id
        with TemporaryDirectory() as folder:
            export_run(model, results, Path(folder, "bundle"))
            save_model(
                Path(folder, "model"), Path(folder, "bundle"), subject.kind, Model(run_id=run_id, model_id=logged)
            )
            client.log_model_artifacts(logged, str(Path(folder, "model")))
        client.finalize_logged_model(logged, "READY")
        client.log_outputs(run_id, [LoggedModelOutput(logged, 0)])
    if not client.search_model_versions(f"name = '{subject.name}' and run_id = '{run_id}'"):
        _register(client, subject.name, run_id, logged, note)
    return logged


def save_model(folder: Path, bundle: Path, kind: str, model: Model) -> None:
    """Write the exported model `bundle` to `folder` as MLflow serves it; it answers its own example on the way."""
    mlflow.pyfunc.save_model(
        str(folder),
        python_model=str(PACKAGE / "tracking" / "served" / SCRIPTS[kind]),
        artifacts={"bundle": str(bundle)},
        code_paths=[str(PACKAGE)],
        input_example=_example(kind, bundle),
        pip_requirements=[f"{name}=={metadata.version(name)}" for name in ("mlflow", *NEEDED)],
        mlflow_model=model,
    )


def _example(kind: str, bundle: Path) -> list[dict[str, Any]]:
    """Requests that the model of a bundle answers."""
    if kind == "captioner":
        return [{"image": base64.b64encode(_blank(read_json(bundle / INFO)["images"])).decode("ascii")}]
    if kind == "seq2seq":
        return [{"source": "a text", "nbest": 1}]
    return [{"prompt": "", "length": 20, "seed": 1}, {"text": "A text to be scored."}]


def _blank(images: Mapping[str, Any]) -> bytes:
    """The file of an image that shows nothing, or of features that are zero."""
    file = io.BytesIO()
    if images["unit"] == "pixels":
        Image.new("RGB", (8, 8), "white").save(file, format="PNG")
    else:
        np.save(file, np.zeros(images["shape"], dtype=np.float32))
    return file.getvalue()


def forget_models(client: MlflowClient, run: Run) -> None:
    """Delete the logged model of a run and its registered version."""
    for version in client.search_model_versions(f"run_id = '{run.info.run_id}'"):
        client.delete_model_version(version.name, version.version)
    for output in run.outputs.model_outputs if run.outputs else []:
        client.delete_logged_model(output.model_id)


def _register(client: MlflowClient, name: str, run_id: str, model: str, note: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = client.get_logged_model(model).artifact_location
    client.create_model_version(name, source, run_id, description=note[:5000], model_id=model)
