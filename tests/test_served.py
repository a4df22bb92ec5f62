"""Models as MLflow serves them: what they answer, and what they say to a bad request."""

import base64
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow.pyfunc
import pytest
import requests
import torch
from builders import image_dataset, pair_dataset, text_dataset
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from PIL import Image

import unroll
from unroll.exported.export import export_run
from unroll.params import CaptionerRun, LanguageModelRun, Seq2SeqRun
from unroll.tracking.models import save_model
from unroll.training.run import train_run

LM = {"kind": "language_model", "cell": "gru", "embedding": 4, "hidden": 8}
PAIRS = [("a b c", "c b a"), ("b a", "a b")] * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A language model and a translator: exported below `given`, as MLflow keeps them below `mlflow`."""
    folder = tmp_path_factory.mktemp("served")
    stream = {"context": "stream", "bptt": 8, "batch_size": 2, "lr": 0.01, "steps": 3}
    runs = {
        "lm": LanguageModelRun(dataset="d", init="scratch", model=LM, train=stream, evaluate={}, seed=1),
        "translator": Seq2SeqRun(
            dataset="d",
            init="scratch",
            model={"kind": "seq2seq", "cell": "gru", "embedding": 8, "hidden": 16},
            train={"batch_size": 4, "lr": 0.02, "steps": 30},
            evaluate={"metric": "bleu", "beam": 3},
            seed=1,
        ),
    }
    runs["captioner"] = CaptionerRun(
        dataset="d",
        init="scratch",
        model={
            "kind": "captioner",
            "image": "attention",
            "channels": [8, 8],
            "cell": "gru",
            "embedding": 8,
            "hidden": 16,
        },
        train={"batch_size": 4, "lr": 0.01, "steps": 3},
        evaluate={"beam": 3, "max_length": 12},
        seed=1,
    )
    datasets = {
        "captioner": image_dataset(folder / "images"),
        "lm": text_dataset(folder / "text", ["the cat sat", "a cat ran"] * 3, {"unit": "char"}),
        "translator": pair_dataset(folder / "pairs", PAIRS),
    }
    for name, run in runs.items():
        data, model = datasets[name], folder / "models" / name
        vocab, results = data.folder.parent / "vocab", folder / "results" / name
        train_run(name, run, data, vocab, model, [], torch.device("cpu"), model, results, folder / "checkpoints")
        export_run(model, results, folder / "given" / name)
        save_model(folder / "mlflow" / name, folder / "given" / name, run.model.kind, Model())
    return folder


NAMES = ("lm", "translator", "captioner")


@pytest.fixture(scope="module")
def served(folder):
    return {name: mlflow.pyfunc.load_model(str(folder / "mlflow" / name)) for name in NAMES}


def test_prompts_are_continued_and_texts_scored(folder, served):
    model = unroll.load(folder / "given" / "lm")
    requests_ = [
        {"prompt": "the", "length": 9, "seed": 4},
        {"text": "a cat"},
        {"prompt": "the", "length": 9, "seed": 4},
    ]
    first, scored, again = served["lm"].predict(requests_)
    assert first == again == {"text": model.generate("the", length=9, seed=4)[0]}
    assert scored == model.score("a cat")[0]


def test_sources_are_decoded_each_as_if_it_had_come_alone(folder, served):
    model = unroll.load(folder / "given" / "translator")
    drawn = {"source": "b a", "sample": True, "temperature": 3.0, "seed": 2}
    asked = [{"source": "a b c"}, {"source": " "}, {"source": "b a", "beam": 4, "nbest": 4}, drawn, drawn]
    plain, blank, several, once, twice = served["translator"].predict(asked)
    assert plain["text"] == plain["hypotheses"][0]["text"] == model.translate("a b c")[0]
    assert blank == {"text": "", "hypotheses": []}
    assert [h["text"] for h in several["hypotheses"]] == [h.text for h in model.decode("b a", nbest=4, beam=4)[0]]
    assert once == twice
    json.dumps([plain, blank, several, once], allow_nan=False)


def picture(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(file, format="PNG")
    return file.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def test_images_are_captioned_each_as_if_it_had_come_alone(folder, served, tmp_path):
    model = unroll.load(folder / "given" / "captioner")
    (tmp_path / "red.png").write_bytes(picture())
    asked = [{"image": base64_of(picture())}, {"image": base64_of(picture("blue")), "beam": 4, "nbest": 4}]
    plain, several = served["captioner"].predict(asked)
    assert [plain["text"]] == model.caption(picture()) == model.caption(tmp_path / "red.png")
    assert [c["text"] for c in several["captions"]] == [
        c.text for c in model.decode(picture("blue"), nbest=4, beam=4)[0]
    ]
    json.dumps([plain, several], allow_nan=False)


BAD = [
    ("captioner", {"image": "no base64!"}, "`image` should be the bytes of a file in base64"),
    ("captioner", {"image": base64_of(b"no image")}, "image 1: no image of PNG, JPEG, GIF, BMP, WEBP"),
    ("captioner", {"image": base64_of(picture()[:60])}, "image 1: "),
    ("captioner", {"image": base64_of(picture()), "nbest": 4}, "nbest 4: should be 1 to `beam`, 3"),
    ("captioner", {"image": base64_of(picture()), "sample": True}, "sample: unknown key"),
    ("lm", {"promt": "a"}, "promt: unknown key; did you mean 'prompt'?"),
    ("lm", {}, "state either `prompt`, to have it continued, or `text`, to have it scored"),
    ("lm", {"prompt": "a", "temperature": -1.0}, "temperature: should be greater than 0, found -1.0"),
    ("lm", {"text": "a", "seed": 3}, "`seed` belongs to `prompt`"),
    ("lm", {"text": "\ud800"}, "is not Unicode text"),
    ("translator", {"source": 3}, "source: should be"),
    ("translator", {"source": "a", "beam": 0}, "beam: should be greater than or equal to 1, found 0"),
    ("translator", {"source": "a", "top_k": 2}, "`top_k` belongs to `sample`"),
    ("translator", {"source": "a", "nbest": 4}, "nbest 4: should be 1 to `beam`, 3"),
    ("translator", {"source": "a", "replace_unknown": True, "beam": 1, "nbest": 2}, "nbest 2"),
]


@pytest.mark.parametrize(("name", "request_", "message"), BAD)
def test_a_bad_request_is_told_in_a_sentence(served, name, request_, message):
    with pytest.raises(MlflowException) as caught:
        served[name].predict([request_])
    assert caught.value.get_http_status_code() == 400
    assert message in caught.value.message


def test_a_model_is_kept_without_pickle_and_with_its_code(folder):
    for name in NAMES:
        files = {path.name for path in (folder / "mlflow" / name).rglob("*") if path.is_file()}
        assert not [file for file in files if file.endswith((".pkl", ".pickle", ".pt"))]
        assert {"weights.safetensors", "SHA256SUMS", "input_example.json", "__init__.py", "requirements.txt"} <= files


@pytest.mark.slow
def test_the_server_of_mlflow_answers(folder, tmp_path):
    """Far from the project, with the code that lies beside the model."""
    model = shutil.copytree(folder / "mlflow" / "lm", tmp_path / "model")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    process = subprocess.Popen(
        [*command, "-h", "127.0.0.1", "-p", str(port), "--workers", "1"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(120):
            try:
                requests.get(f"{address}/ping", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.5)
        good = requests.post(f"{address}/invocations", json={"inputs": [{"prompt": "the", "length": 5}]}, timeout=30)
        assert good.status_code == 200
        assert good.json()["predictions"][0]["text"].startswith("the")
        for body in ('{"inputs": [{"promt": "a"}]}', '{"inputs": ["a"]}', '{"inputs": {}}', "{", "[]"):
            headers = {"Content-Type": "application/json"}
            bad = requests.post(f"{address}/invocations", data=body, headers=headers, timeout=30)
            assert bad.status_code == 400, body
            assert bad.json()["message"]
    finally:
        process.terminate()
        process.wait(30)
