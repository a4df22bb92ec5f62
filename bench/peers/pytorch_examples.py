"""The word language model of https://github.com/pytorch/examples, from a checkout.

B batch, T time.
"""

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from torch import Tensor, nn

Checkout = Annotated[Path | None, typer.Option(help="Checkout of pytorch/examples.", exists=True)]
CLIP = 0.25


def load(path: Path) -> ModuleType:
    """A module from its file."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def peer_model(checkout: Path, cell: str, vocabulary: int, hidden: int, layers: int, dropout: float) -> nn.Module:
    """Its model, untied."""
    module = load(checkout / "word_language_model" / "model.py")
    model: nn.Module = module.RNNModel(cell.upper(), vocabulary, hidden, hidden, layers, dropout)
    return model


def peer_step(model: Any, data_TB: Tensor, targets_N: Tensor, lr: float) -> Callable[[], None]:
    """One step of its training loop a call: the state carried and detached, the mean loss, clipping, plain SGD."""
    model.train()
    criterion = nn.NLLLoss()
    hidden = model.init_hidden(data_TB.shape[1])

    def call() -> None:
        nonlocal hidden
        model.zero_grad()
        hidden = tuple(h.detach() for h in hidden) if isinstance(hidden, tuple) else hidden.detach()
        output, hidden = model(data_TB, hidden)
        loss = criterion(output, targets_N)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        loss.item()

    return call
