"""What runs are estimated to take, against runs that were trained."""

import json
from pathlib import Path

import pytest

from unroll.cli.estimates import Estimate, estimates
from unroll.params import CaptionerRun, Params, load

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def params() -> Params:
    return load(ROOT / "params.yaml")


def test_parameters_by_hand(params, tmp_path):
    """An LSTM has 4 H (E + H) weights and two biases; then come embeddings and the output layer."""
    size, embedding, hidden = 50, 64, 256
    (tmp_path / "encoded" / "docs-char").mkdir(parents=True)
    fields = {"text": {"size": size, "vocabulary": "text"}}
    (tmp_path / "encoded" / "docs-char" / "manifest.json").write_text(json.dumps({"fields": fields}))
    results = tmp_path / "results" / "char-lstm"
    results.mkdir(parents=True)
    (results / "metrics.json").write_text('{"test": {}, "cost": {}}')
    (results / "timing.csv").write_text("step,time,seconds\n10,0,5\n")
    found = {one.run: one for one in estimates(params, tmp_path / "encoded", tmp_path / "results")}
    one = found["char-lstm"]
    network = 4 * hidden * (embedding + hidden)
    assert one.parameters is not None
    biases = one.parameters - network - size * embedding - (hidden + 1) * size
    assert biases in (4 * hidden, 8 * hidden)
    assert one.exact
    assert one.training_bytes == 4 * 4 * one.parameters and one.disk_bytes == 4 * one.parameters
    assert one.seconds == 450.0  # 900 steps
    assert found["char-6gram"] == Estimate("char-6gram", None, False, None, None, None)


def test_parameters_of_an_adaptive_softmax_by_hand(params, tmp_path):
    """Clusters of 1,500 and 4,500 tokens have vectors of 50 and 12 numbers."""
    run = params.runs["word-lstm"]
    one_softmax = run.model.model_copy(update={"tied": False})
    adaptive = one_softmax.model_copy(update={"adaptive_softmax": [2000, 3500]})
    found = []
    for model in (one_softmax, adaptive):
        changed = params.model_copy(update={"runs": {"word-lstm": run.model_copy(update={"model": model})}})
        found.append(next(estimates(changed, tmp_path, tmp_path)).parameters)
    in_clusters = 200 * (50 + 12) + 1500 * (50 + 1) + 4500 * (12 + 1)
    assert found[1] - found[0] == 2002 * (200 + 1) + in_clusters - 8000 * (200 + 1)


def test_without_data_the_largest_vocabulary_counts_if_there_is_one(params, tmp_path):
    found = {one.run: one for one in estimates(params, tmp_path, tmp_path)}
    assert found["char-gru"].parameters is None
    assert found["word-lstm"].parameters is not None and not found["word-lstm"].exact
    assert found["word-lstm"].seconds is None


def test_a_captioner_is_counted_once_its_images_are_encoded(tmp_path):
    model = {"kind": "captioner", "image": "first-token", "cell": "gru", "embedding": 8, "hidden": 16}
    train = {"batch_size": 4, "optimizer": "adam", "lr": 0.01, "epochs": 1}
    run = CaptionerRun(dataset="d", init="scratch", model=model, train=train, evaluate={"beam": 1}, seed=1)
    scenes = load(ROOT / "presets" / "scenes.yaml")
    params = scenes.model_copy(update={"runs": {"c": run}, "datasets": {"d": next(iter(scenes.datasets.values()))}})
    assert next(estimates(params, tmp_path, tmp_path)).parameters is None
    (tmp_path / "d").mkdir()
    images = {"unit": "features", "shape": [1, 5]}
    manifest = {"fields": {"target": {"size": 11, "vocabulary": "target"}}, "images": images}
    (tmp_path / "d" / "manifest.json").write_text(json.dumps(manifest))
    image = 2 * 5 + 5 * 8 + 8 + 2 * 8  # a layer, and the normalisation before and behind it
    network = 3 * 16 * (8 + 16 + 2)
    output = (16 + 1) * 16 + (16 + 1) * 11
    assert next(estimates(params, tmp_path, tmp_path)).parameters == image + network + 11 * 8 + output
