"""How fast are the recurrent layers, forward and backward, and how far from what matrix products allow?

B batch, T time, H hidden size, G gates.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import typer
from torch import Tensor, nn

from bench.measure import Out, Quick, Report, Taken, Threads, clock_of, exponent
from bench.models import CPU
from bench.products import default, flops, peak, start
from unroll.nn.precision import products_in
from unroll.nn.recurrent import Layer, Recurrent
from unroll.nn.settings import CellName, DropoutSettings, StackSettings

LAYERS = 2
GATES: dict[CellName, int] = {"elman": 1, "jordan": 1, "lstm": 4, "gru": 3}
LIBRARY = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
app = typer.Typer(add_completion=False)


class Size(NamedTuple):
    """Of a batch and of each layer, whose input is as wide as its state."""

    T: int
    B: int
    H: int


SIZES = [Size(35, 20, 200), Size(35, 20, 650), Size(128, 50, 512)]
GROWTH = [Size(35, 20, H) for H in (64, 128, 256, 512, 1024)]


@app.command()
def core(quick: Quick = False, threads: Threads = 1, out: Out = None) -> None:
    """Recurrent layers against torch.nn's, against their matrix products alone and against the machine's peak."""
    start(threads)
    report = Report("core", "Two recurrent layers, forward and backward", threads, quick, clock_of(threads))
    rates = peak(report)
    report.facts["peak GFLOP/s"] = {name: round(rate / 1e9) for name, rate in rates.items()}
    for size in [Size(5, 4, 16)] if quick else SIZES:
        for cell in GATES:
            race(report, cell, size, rates["fast"])
    for cell in GATES:
        grown = [race(report, cell, size, rates["fast"], only="unroll") for size in (GROWTH[:2] if quick else GROWTH)]
        widths = [size.H for size in GROWTH[: len(grown)]]
        report.facts[f"{cell}: time grows as H to the"] = exponent(widths, [one["unroll"].seconds for one in grown])
    report.finish(out)


def race(report: Report, cell: CellName, size: Size, peak: float, only: str | None = None) -> dict[str, Taken]:
    """Rows for a cell; tokens are those that both layers have worked through."""
    entered = contenders(cell, size)
    entered = {name: call for name, call in entered.items() if only in (None, name)}
    case = {"cell": cell, "T": size.T, "B": size.B, "H": size.H}
    before = len(report.rows)
    taken = report.race(case, entered, size.T * size.B, "tokens")
    for row in report.rows[before:]:
        row["GFLOP/s"] = work(cell, size) / row["seconds"] / 1e9
        row["of peak"] = row["GFLOP/s"] * 1e9 / peak
    return taken


def work(cell: CellName, size: Size) -> int:
    """Operations of all products, forward and backward: each is met three times."""
    T, B, H = size
    read = flops(B, H, H) if cell == "jordan" else 0
    return 3 * LAYERS * T * (2 * flops(B, H, GATES[cell] * H) + read)


def contenders(cell: CellName, size: Size) -> dict[str, Callable[[], object]]:
    """The library's layers if it has them, else the readable ticks; ours; the products that no way can do without."""
    T, B, H = size
    x_TBH, x_BTH = torch.randn(T, B, H, requires_grad=True), torch.randn(B, T, H, requires_grad=True)
    grad_TBH, grad_BTH = torch.randn(T, B, H), torch.randn(B, T, H)
    ours = make_layers(cell, H)
    entered: dict[str, Callable[[], object]] = {}
    if cell in LIBRARY:
        library = LIBRARY[cell](H, H, LAYERS)
        entered["torch.nn"] = default(lambda: _pass(library, library(x_TBH)[0], grad_TBH))
        entered["torch.nn, fast products"] = lambda: _pass(library, library(x_TBH)[0], grad_TBH)
    else:
        entered["ticks"] = lambda: _pass(ours, _ticks(ours, x_BTH), grad_BTH)
    entered["unroll"] = lambda: _pass(ours, ours(x_BTH)[0], grad_BTH)
    entered["unroll, bfloat16"] = lambda: _pass(ours, _in_bfloat16(ours, x_BTH), grad_BTH)
    entered["products alone"] = products(cell, size)
    return entered


def make_layers(cell: CellName, H: int) -> Recurrent:
    """Ours, whose input is as wide as their state."""
    return Recurrent(StackSettings(cell=cell, hidden=H, layers=LAYERS), H, DropoutSettings())


def _pass(layers: nn.Module, y: Tensor, grad: Tensor) -> None:
    torch.autograd.backward(y, grad)
    layers.zero_grad(set_to_none=True)


def _in_bfloat16(layers: Recurrent, x_BTH: Tensor) -> Tensor:
    """As `train.precision: bfloat16` has it."""
    with products_in("bfloat16", CPU):
        y_BTH: Tensor = layers(x_BTH)[0]
    return y_BTH


def _ticks(layers: Recurrent, x_BTH: Tensor) -> Tensor:
    for layer in layers.layers:
        assert isinstance(layer, Layer)
        x_BTH, _ = layer.run("ticks", x_BTH, layer.initial(x_BTH))
    return x_BTH


def products(cell: CellName, size: Size) -> Callable[[], object]:
    """All products of the layers, forward and backward, those of the recurrence step by step."""
    T, B, H = size
    G = GATES[cell] * H
    x_NH, a_NG = torch.randn(T * B, H), torch.randn(T * B, G)
    w_HG, w_GH = torch.randn(H, G), torch.randn(G, H)
    steps = [(torch.randn(B, H), w_HG), (torch.randn(B, G), w_GH)]
    whole = [(x_NH, w_HG), (a_NG, w_GH), (a_NG.t(), x_NH), (a_NG.t(), x_NH)]
    if cell == "jordan":
        h_BH, v_HH = torch.randn(B, H), torch.randn(H, H)
        steps += [(h_BH, v_HH), (h_BH, v_HH)]
        whole.append((x_NH.t(), x_NH))

    def call() -> None:
        for _ in range(LAYERS):
            for a, b in whole:
                torch.mm(a, b)
            for _ in range(T):
                for a, b in steps:
                    torch.mm(a, b)

    return call


if __name__ == "__main__":
    app()
