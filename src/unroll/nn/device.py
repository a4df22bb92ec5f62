"""Where tensors live and how they are multiplied."""

import ctypes
import os
import sys
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from unroll.engine import EngineSettings
from unroll.errors import UserError

if TYPE_CHECKING:
    import torch

# A float32 product summed in float32 stays below this relative error; one rounded to bfloat16 does not.
FLOAT32_ERROR = 1e-5
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's mallopt


class ComputeSettings(EngineSettings):
    """Where it runs: no stage depends on it, so changing it never trains again."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes the GPU if there is one."""
    threads: int = Field(default=1, ge=1, le=1_024)
    """CPU threads of one stage; the same number gives the same bits."""

    @property
    def cpus(self) -> int:
        """CPU cores that a run keeps busy."""
        return self.threads

    @property
    def gpus(self) -> int:
        """GPUs that a run asks a cluster for."""
        return int(self.device == "cuda")


def prepare(settings: ComputeSettings) -> "torch.device":
    """Set threads, allocator and matrix products for this process; return the device.

    Raises `UserError` for a GPU that is not there.
    """
    keep_memory()
    import torch

    torch.set_num_threads(settings.threads)
    use_fast_products()
    found = torch.cuda.is_available()
    if settings.device == "cuda" and not found:
        raise UserError("compute.device: cuda, and there is no GPU here that PyTorch can use; take auto or cpu")
    return torch.device("cuda" if found and settings.device != "cpu" else "cpu")


def keep_memory() -> None:
    """Ask glibc to keep freed memory: giving it back costs page faults, a third of the time on long sequences."""
    if glibc := _glibc():
        glibc.mallopt(M_MMAP_MAX, 0)
        glibc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def give_memory_back() -> None:
    """Give what `keep_memory` has kept back to the system, once in a while: batches of all shapes leave gaps in it."""
    if glibc := _glibc():
        glibc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is the one with these functions."""
    if sys.platform == "linux" and "glibc" in os.confstr("CS_GNU_LIBC_VERSION"):  # type: ignore[operator]
        return ctypes.CDLL(None)
    return None


def use_fast_products() -> None:
    """Multiply float32 matrices on the CPU through oneDNN where that is true float32, else through the default.

    oneDNN is about twice as fast as MKL on some CPUs; on others the same switch computes in bfloat16, which a
    product whose exact result is known shows.
    """
    import torch

    torch.set_float32_matmul_precision("medium")
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 256, 256, generator=generator)
    exact = a.double() @ b.double()
    error = ((a @ b).double() - exact).abs().max() / exact.abs().max()
    if error > FLOAT32_ERROR:
        torch.set_float32_matmul_precision("highest")
