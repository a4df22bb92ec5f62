"""The word language model of https://github.com/pytorch/examples, from a checkout.

B batch, T time.
"""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import torch
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


def peer_step(model: Any, data_TB: Tensor, targets_N: Tensor, hidden: Any, lr: float) -> Any:
    """One step of its training loop: the state detached, the mean loss, clipping, plain SGD. The state after it."""
    model.zero_grad()
    hidden = tuple(h.detach() for h in hidden) if isinstance(hidden, tuple) else hidden.detach()
    output, hidden = model(data_TB, hidden)
    loss = nn.functional.nll_loss(output, targets_N)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    for p in model.parameters():
        p.data.add_(p.grad, alpha=-lr)
    loss.item()
    return hidden
