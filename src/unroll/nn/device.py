"""Where tensors live and how they are multiplied."""

import ctypes
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from unroll.engine import Engine, EngineSettings, Local, engine_of
from unroll.errors import UserError
from unroll.settings import PathName

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
    """CPU threads of a process; the same number gives the same bits."""
    processes: int = Field(default=1, ge=1, le=1_024)
    """Processes that train a run together on this machine, each a part of every batch; on GPUs each has one of its own.
    On CPUs so many decode its test part, too. As many of each machine where `NNODES` says that there are several:
    docs/scale.md."""
    checkpoints: PathName | None = None
    """An address that fsspec knows, as `s3://bucket/folder`, or a folder that all machines share: checkpoints are
    copied there, and a training whose machine is gone goes on from there on another one."""

    @property
    def cpus(self) -> int:
        """CPU cores that a run keeps busy."""
        return self.threads * self.processes

    @property
    def gpus(self) -> int:
        """GPUs that a run asks a cluster for."""
        return self.processes if self.device == "cuda" else 0


def decoding_engine(settings: ComputeSettings, device: "torch.device") -> Engine:
    """Who decodes: as many processes as train, but for a GPU, which one process keeps busy.

    On a cluster each shard has one process, and so one GPU.
    """
    setup = partial(prepare, settings)
    local = Local(settings.processes if device.type == "cpu" else 1, setup)
    return engine_of(settings, local, setup, settings.threads, int(settings.device == "cuda"))


def prepare(settings: ComputeSettings, place: int = 0) -> "torch.device":
    """Set threads, allocator and matrix products for this process; return the device.

    `place` is that of this process among those of its machine that train together, and says which GPU it has. Raises
    `UserError` for a GPU that is not there.
    """
    keep_memory()
    import torch

    torch.set_num_threads(settings.threads)
    use_fast_products()
    found = torch.cuda.is_available()
    if settings.device == "cuda" and not found:
        raise UserError("compute.device: cuda, and there is no GPU here that PyTorch can use; take auto or cpu")
    if not found or settings.device == "cpu":
        return torch.device("cpu")
    gpus = torch.cuda.device_count()
    if settings.processes > gpus:
        raise UserError(f"compute.processes: {settings.processes}, and GPUs here: {gpus}; each process needs its own")
    if place:
        torch.cuda.set_device(place)
    return torch.device("cuda")


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
