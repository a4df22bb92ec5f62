"""A step as a graph of torch.export agrees with the network, for every cell."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_exported import project  # noqa: F401
from typer.testing import CliRunner

from unroll.cli import app
from unroll.errors import UserError
from unroll.exported.graph import Step, write_graph
from unroll.kinds.language_model.network import LanguageModel
from unroll.params import LanguageModelRun
from unroll.text.specials import EOS

RUN = {
    "dataset": "x",
    "init": "scratch",
    "train": {"context": "stream", "batch_size": 16, "bptt": 64, "lr": 0.1, "steps": 3},
    "evaluate": {},
    "seed": 1,
}


@pytest.mark.parametrize(
    "model",
    [
        {"cell": "gru", "tied": True},
        {"cell": "gru", "adaptive_softmax": [6, 12]},
        {"cell": "lstm", "peepholes": True, "projection": 6, "layers": 2},
        {"cell": "lstm", "layer_norm": True, "layers": 2, "residual_from": 2},
        {"cell": "jordan", "output": 5},
        {"cell": "elman", "activation": "crelu", "embedding": "none"},
    ],
    ids=lambda model: "-".join(map(str, model.values())),
)
def test_the_graph_agrees_with_the_network(tmp_path, model):
    model = {"kind": "language_model", "embedding": 8, "hidden": 8, "dropout": 0.5, **model}
    settings = LanguageModelRun.model_validate({**RUN, "model": model}).model
    torch.manual_seed(1)
    network = LanguageModel(settings, 20)
    write_graph(SimpleNamespace(network=network), tmp_path / "step.pt2")
    step = torch.export.load(tmp_path / "step.pt2").module()
    for rows in (1, 5):
        ids_BT = torch.randint(0, 20, (rows, 7))
        state, found = Step(network).start(rows), []
        for ids_B in ids_BT.unbind(1):
            logp_BV, state = step(ids_B, state)
            found.append(logp_BV)
        expected_BTV = network.output.log_probabilities(network.eval()(ids_BT).read_BTD)
        torch.testing.assert_close(torch.stack(found, 1), expected_BTV, rtol=1e-5, atol=1e-5)


def test_a_text_begins_behind_eos(project, tmp_path, monkeypatch):  # noqa: F811
    import unroll

    monkeypatch.chdir(project)
    folder = tmp_path / "given"
    result = CliRunner().invoke(app, ["export", "lm", str(folder), "--graph"])
    assert result.exit_code == 0, result.output
    model = unroll.load(folder)
    text = model.predictor.vocabulary.decode(range(4, 8))
    ids = [*model.predictor.vocabulary.encode(text), EOS]
    step = torch.export.load(folder / "step.pt2").module()
    state, nats, before = Step(model.predictor.network).start(1), 0.0, EOS
    for token in ids:
        logp_1V, state = step(torch.tensor([before]), state)
        nats, before = nats + float(logp_1V[0, token].detach()), int(token)
    assert model.score(text)[0]["log_probability"] == pytest.approx(nats, rel=1e-5)
    assert "step.pt2" in (Path(folder) / "SHA256SUMS").read_text()


def test_other_models_have_no_graph(project, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(project)
    result = CliRunner().invoke(app, ["export", "translator", str(tmp_path / "given"), "--graph"])
    assert isinstance(result.exception, UserError) and "--graph: is for recurrent language models" in str(
        result.exception
    )
    assert not (tmp_path / "given").exists()
