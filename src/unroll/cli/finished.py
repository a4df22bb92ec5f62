"""Finished runs, as commands name them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from unroll.errors import UserError

Run = Annotated[str, typer.Argument(help="a finished run of params.yaml, or the folder of a bundle")]


def bundle_of(run: str) -> Path:
    """The folder of a run's bundle, given its name or that folder; raises `UserError` if there is none."""
    folder = Path(run) if Path(run, "bundle.json").is_file() else Path("models", run)
    if not (folder / "bundle.json").is_file():
        from unroll.mistakes import did_you_mean

        finished = sorted(path.parent.name for path in Path("models").glob("*/bundle.json"))
        raise UserError(
            f"{run}: no finished run{did_you_mean(run, finished)}; unroll repro trains those of params.yaml"
        )
    return folder


def load_run(run: str) -> tuple[Any, dict[str, Any]]:
    """The model of a run, or of a bundle's folder, and what its bundle says of it."""
    from unroll.files import read_json
    from unroll.nn.device import ComputeSettings, prepare

    folder = bundle_of(run)
    compute = ComputeSettings()
    if Path("params.yaml").is_file():
        from unroll.params import load_compute

        compute = load_compute()
    device = prepare(compute)
    from unroll.kinds import load_model

    return load_model(folder, device), read_json(folder / "bundle.json")
