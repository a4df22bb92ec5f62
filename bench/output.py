"""What do the output layer and its loss cost, forward and backward, in time and in memory?

N positions, D size of what the layer reads, V vocabulary.
"""

from collections.abc import Callable
from functools import partial

import torch
import typer
from torch.nn import functional as F

from bench.measure import Out, Quick, Report, Threads, clock_of, exponent, peak_bytes
from bench.products import default, start
from unroll.nn.losses import linear_cross_entropy

N, D = 35 * 20, 200
VOCABULARIES = [2_500, 10_000, 33_000]
app = typer.Typer(add_completion=False)


@app.command()
def output(quick: Quick = False, threads: Threads = 1, out: Out = None) -> None:
    """The fused output layer against F.cross_entropy of F.linear."""
    start(threads)
    report = Report("output", "Output layer and loss, forward and backward", threads, quick, clock_of(threads))
    sizes = VOCABULARIES[:2] if quick else VOCABULARIES
    costs: dict[str, list[float]] = {"seconds": [], "bytes": []}
    for V in sizes:
        peaks = {name: peak_bytes(partial(contender, name, V)) for name in CONTENDERS}
        entered = {name: contender(name, V) for name in CONTENDERS}
        entered["F.cross_entropy, default products"] = default(entered["F.cross_entropy"])
        shares = {name: bytes / peaks["F.cross_entropy"] for name, bytes in peaks.items()}
        taken = report.race({"V": V}, entered, N, "positions", peak_bytes=peaks, of_memory=shares)
        costs["seconds"].append(taken["linear_cross_entropy"].seconds)
        costs["bytes"].append(peaks["linear_cross_entropy"])
    for cost, values in costs.items():
        report.facts[f"linear_cross_entropy: {cost} grow as V to the"] = exponent(sizes, values)
    report.finish(out)


def contender(name: str, V: int) -> Callable[[], object]:
    """Forward and backward of one of `CONTENDERS`, which holds what it works on; its first call is done."""
    torch.manual_seed(1)
    loss = CONTENDERS[name]
    _call(loss, *_inputs(8, 16))  # loads what a first call loads
    inputs = _inputs(N, V)
    return lambda: _call(loss, *inputs)


def _inputs(n: int, V: int) -> tuple[torch.Tensor, ...]:
    """Logits are of the size of a network's own: of large ones most probabilities are denormal, and slow numbers."""
    h_ND, weight_VD, bias_V = torch.randn(n, D), torch.randn(V, D) / D**0.5, torch.randn(V)
    return *(x.requires_grad_() for x in (h_ND, weight_VD, bias_V)), torch.randint(V, (n,))


def _call(loss: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> None:
    torch.autograd.backward(loss(*inputs))
    for x in inputs:
        x.grad = None


def _apart(h: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(F.linear(h, weight, bias), targets, reduction="sum")


def _fused(h: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return linear_cross_entropy(h, weight, bias, targets).nats


CONTENDERS: dict[str, Callable[..., torch.Tensor]] = {"F.cross_entropy": _apart, "linear_cross_entropy": _fused}

if __name__ == "__main__":
    app()
