"""unroll: recurrent language models and sequence-to-sequence models, stated in params.yaml."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def load(folder: Any, device: str = "cpu") -> Any:
    """A finished model by the folder of its bundle: an `unroll.exported.models.TextModel` or `PairModel`.

    Raises `unroll.errors.UserError` naming the file that is missing, or whose bytes are not those that were exported.
    """
    # By name: what only trains or counts should not depend on this, nor take the time to import it.
    return import_module("unroll.exported.models").load(folder, device)
