"""The kinds of model, one folder each, loaded by name.

A kind's folder holds `settings` (read without torch), `task` (what training needs) and `predictor` (what evaluation and
the command line need).
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

SCRATCH = "scratch"  # in place of the name of a run to start from
KindName = Literal["language_model", "seq2seq", "captioner", "ngram"]


def load_task(kind: KindName) -> Any:
    """The class `Task` of a kind: it offers what `unroll.training.task.Task` says, or `estimation.Estimable`."""
    return import_module(f"unroll.kinds.{kind}.task").Task


def load_model(folder: Path, device: "torch.device") -> Any:
    """The finished model in a bundle: a `LanguageModelPredictor`, a `PairPredictor` or a `CaptionPredictor`.

    Raises `UserError` if the folder holds no whole bundle.
    """
    from unroll.kinds.bundle import read_bundle

    bundle = read_bundle(folder)
    return import_module(f"unroll.kinds.{bundle.info['kind']}.predictor").load(bundle, device)
