"""The command `prune`: what runs that params.yaml no longer has left on the disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unroll.params import Params
    from unroll.training.checkpoints import Checkpoints


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only tell what would go")] = False,
) -> None:
    """Remove what is left of corpora, datasets and runs that params.yaml no longer has, and old checkpoints.

    Of an interrupted training the checkpoint stays as long as params.yaml has the run with the same settings. What DVC
    has in its cache stays there, until `dvc gc`. Examples:

        unroll prune --dry-run

        unroll prune && dvc gc --workspace
    """
    from unroll.params import load

    params = load()
    freed = 0
    checkpoints = list(_old_checkpoints(params, Path("checkpoints")))
    for path in (*_outputs_of_none(params), *(old.folder for old in checkpoints)):
        size = sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
        if not dry_run and not _removed(path):
            print(f"{path}  {_megabytes(size)}: stays, a process trains it")
            continue
        print(f"{path}  {_megabytes(size)}")
        freed += size
    print(f"{'would free' if dry_run else 'freed'} {_megabytes(freed)}")


def _outputs_of_none(params: "Params") -> Iterator[Path]:
    """Outputs of the pipeline's stages that belong to no entry of `params`."""
    from unroll.kinds import SCRATCH

    runs = {*params.runs, *params.combinations}
    for folder, names in {
        "data/raw": set(params.corpora),
        "data/vocab": set(params.datasets),
        "data/encoded": set(params.datasets),
        "models": {*params.runs, SCRATCH},
        "results": runs,
        "predictions": runs,
        "mlruns/receipts": {f"{name}.json" for name in runs},
    }.items():
        found = Path(folder).iterdir() if Path(folder).is_dir() else ()
        yield from sorted(path for path in found if path.name not in names and not path.name.startswith(".git"))


def _old_checkpoints(params: "Params", folder: Path) -> Iterator["Checkpoints"]:
    """Checkpoints of runs that `params` does not have, or has with other settings."""
    from unroll.training.checkpoints import left_behind
    from unroll.training.identity import settings_of

    for found, stated in left_behind(folder):
        run = params.runs.get(stated["run"])
        if run is None or stated["settings"] not in (settings_of(run, budget=True), settings_of(run, budget=False)):
            yield found


def _removed(path: Path) -> bool:
    from unroll.training.checkpoints import Checkpoints

    if path.parent.name == "checkpoints":
        return Checkpoints(path).clear()
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return True


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
