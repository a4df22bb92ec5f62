"""From a finished run to a folder that can be given away."""

import shutil
from pathlib import Path

import torch

from unroll.checksums import write_sums
from unroll.errors import UserError
from unroll.evaluation.results import read_results
from unroll.exported.card import model_card
from unroll.exported.graph import GRAPH, write_graph
from unroll.files import read_json, whole_folder
from unroll.kinds import load_model
from unroll.kinds.bundle import INFO, read_bundle

CARD, METRICS = "README.md", "metrics.json"


def export_run(model: Path, results: Path, folder: Path, graph: bool = False) -> None:
    """Write the bundle `model` with its card, its measures and checksums to `folder`, which should not be there yet.

    `results` is the run's folder of results; without measures in it the card says that there are none. With
    `graph` a step of the model is written, too. Raises `UserError` if the bundle is damaged, `folder` holds something
    or the model's step can be no graph.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: there is something already; name a folder that is not there")
    read_bundle(model)  # whole
    with whole_folder(folder) as draft:
        shutil.copytree(model, draft, dirs_exist_ok=True)
        found = read_results(results)
        if found is not None:
            shutil.copyfile(results / METRICS, draft / METRICS)
        (draft / CARD).write_text(model_card(read_json(model / INFO), found), encoding="utf-8", newline="\n")
        if graph:
            write_graph(load_model(model, torch.device("cpu")), draft / GRAPH)
        write_sums(draft)
