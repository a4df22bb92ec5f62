"""Matrix products: the default ones, those that the project uses, and how fast they are at best.

M rows of the left matrix, K its columns, N columns of the right one.
"""

from collections.abc import Callable

import torch

from bench.measure import Report, alternate
from unroll.nn.device import ComputeSettings, prepare

SIDE = 1024  # of the product whose rate is the peak


def start(threads: int) -> None:
    """Threads, allocator and products as a stage of the pipeline sets them; one seed."""
    prepare(ComputeSettings(device="cpu", threads=threads))
    torch.manual_seed(1)


def default(call: Callable[[], object]) -> Callable[[], object]:
    """`call` with the products that torch has by default; all others here have the project's."""

    def called() -> object:
        chosen = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            return call()
        finally:
            torch.set_float32_matmul_precision(chosen)

    return called


def flops(M: int, K: int, N: int) -> int:
    """Operations of one product."""
    return 2 * M * K * N


def peak(report: Report) -> dict[str, float]:
    """Operations a second of a large product, by the project's products and by the default ones."""
    a, b, out = torch.randn(3, SIDE, SIDE)

    def product() -> object:
        return torch.mm(a, b, out=out)

    taken = alternate({"fast": product, "default": default(product)}, report.turns, report.least, report.clock)
    return {name: flops(SIDE, SIDE, SIDE) / one.seconds for name, one in taken.items()}
