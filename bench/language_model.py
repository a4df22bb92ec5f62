"""How fast is a whole training step of a word language model?

B batch, T time, H hidden size, V vocabulary.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F

from bench.measure import Out, Quick, Report, Taken, Threads, clock_of, exponent
from bench.models import Drawn, draw_row, make_trainer, read_run, updates
from bench.peers.pytorch_examples import CLIP, Checkout, peer_model, peer_step
from bench.products import default, start

B, T, LAYERS, DROPOUT, LR = 20, 35, 2, 0.2, 1.0
HIDDEN = [100, 200, 400, 800]
app = typer.Typer(add_completion=False)


@app.command()
def language_model(quick: Quick = False, threads: Threads = 1, out: Out = None, checkout: Checkout = None) -> None:
    """A step of training against the same in torch.nn as it comes, or against pytorch/examples from a checkout."""
    start(threads)
    report = Report("language_model", "A training step of a language model", threads, quick, clock_of(threads))
    V = 500 if quick else 10_000
    for cell in ("lstm", "gru"):
        race(report, checkout, cell, 32 if quick else 200, V)
    sizes = [16, 32] if quick else HIDDEN
    grown = [race(report, checkout, "lstm", H, V) for H in sizes]
    for name in grown[0]:
        seconds = [taken[name].seconds for taken in grown]
        report.facts[f"lstm, {name}: time grows as H to the"] = exponent(sizes, seconds)
    report.finish(out)


def race(report: Report, checkout: Path | None, cell: str, H: int, V: int) -> dict[str, Taken]:
    """Rows for a cell and a size, of the same model for each contender."""
    peer = "torch.nn" if checkout is None else "pytorch/examples"
    model: Any = Plain(cell, V, H) if checkout is None else peer_model(checkout, cell, V, H, LAYERS, DROPOUT)
    data_TB, targets_N = torch.randint(4, V, (T, B)), torch.randint(4, V, (T * B,))
    hidden = model.init_hidden(B)

    def step() -> None:
        nonlocal hidden
        hidden = peer_step(model, data_TB, targets_N, hidden, LR)

    entered = {peer: default(step), f"{peer}, fast products": step}
    entered |= {"unroll": unroll_step(cell, H, V), "unroll, bfloat16": unroll_step(cell, H, V, "bfloat16")}
    return report.race({"cell": cell, "H": H, "V": V, "T": T, "B": B}, entered, T * B, "tokens")


def unroll_step(cell: str, H: int, V: int, precision: str = "float32") -> Callable[[], object]:
    """One update as training does it, its batch read from the stream."""
    train = {"context": "stream", "batch_size": B, "bptt": T, "optimizer": "sgd", "lr": LR, "clip": CLIP}
    run = read_run(
        {"kind": "language_model", "cell": cell, "embedding": H, "hidden": H, "layers": LAYERS, "dropout": DROPOUT},
        {**train, "precision": precision, "steps": 10**6},
    )
    row = draw_row(np.random.default_rng(1), 200 * T * B, V)
    return updates(make_trainer(run, Drawn({"text": [row]}, {"text": V})))


class Plain(nn.Module):
    """Embedding, recurrent layers and output of torch.nn, as one writes them first."""

    def __init__(self, cell: str, V: int, H: int) -> None:
        super().__init__()
        self.cell, self.hidden = cell, H
        self.embedding, self.dropout, self.output = nn.Embedding(V, H), nn.Dropout(DROPOUT), nn.Linear(H, V)
        self.layers = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](H, H, LAYERS, dropout=DROPOUT)

    def forward(self, ids_TB: Tensor, state: Any) -> tuple[Tensor, Any]:
        """log p (T B, V) of the next tokens, and the state after them."""
        y_TBH, state = self.layers(self.dropout(self.embedding(ids_TB)), state)
        return F.log_softmax(self.output(self.dropout(y_TBH)).flatten(0, 1), dim=1), state

    def init_hidden(self, batch: int) -> Any:
        """The state before the first token."""
        zero = torch.zeros(LAYERS, batch, self.hidden)
        return (zero, zero) if self.cell == "lstm" else zero


if __name__ == "__main__":
    app()
