"""A group of processes that exchange by torch.distributed: gloo between CPUs, NCCL between GPUs.

What is no plain sum travels as the bytes of `torch.save`, read back by an unpickler that knows tensors and plain values
alone.
"""

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from unroll.training.parallel import Group

# A process that is gone is noticed at once, by its connections; a host that is gone without a word after this time,
# which is also how long one process may wait for another in an exchange.
PATIENCE = timedelta(minutes=10)

T = TypeVar("T")


class PeerLostError(Exception):
    """Another process of the group has ended, or cannot be reached."""


class Processes(Group):
    """This process and those it trains with, as the variables of `torchrun` say."""

    def __init__(self, device: torch.device) -> None:
        """Meets the others, with tensors on `device`."""
        with _loss_told():
            dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        self.device = device
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.first = int(os.environ["LOCAL_RANK"]) == 0
        self.given = 0
        """Bytes given to exchanges so far."""

    def leave(self) -> None:
        """End it, in all processes."""
        dist.destroy_process_group()

    def sum(self, numbers: Sequence[float]) -> Sequence[float]:
        """The sum over all processes of each number."""
        total = torch.tensor(numbers, dtype=torch.float64)
        self._reduce(total)
        found: list[float] = total.tolist()
        return found

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put in place of each tensor its sum over all processes; those of one type travel together."""
        for kind in dict.fromkeys(tensor.dtype for tensor in tensors):
            alike = [tensor for tensor in tensors if tensor.dtype == kind]
            flat = torch.cat([tensor.reshape(-1) for tensor in alike])
            self._reduce(flat)
            sums = torch.split(flat, [tensor.numel() for tensor in alike])
            torch._foreach_copy_(alike, [sum.view_as(tensor) for sum, tensor in zip(sums, alike, strict=True)])

    def gather(self, value: T) -> list[T]:
        """What each process gave, in their order."""
        own = _packed(value)
        sizes = [int(size) for size in self.sum([len(own) if n == self.rank else 0 for n in range(self.size)])]
        room = [torch.empty(max(sizes), dtype=torch.uint8) for _ in sizes]
        self.given += max(sizes)
        with _loss_told():
            dist.all_gather(room, torch.cat([own, own.new_zeros(max(sizes) - len(own))]))
        return [self._unpacked(content[:size]) for content, size in zip(room, sizes, strict=True)]

    def broadcast(self, value: T, source: int = 0) -> T:
        """What the process `source` gave."""
        own = _packed(value) if self.rank == source else torch.empty(0, dtype=torch.uint8)
        size = int(sum(self.sum([len(own)])))
        content = own if self.rank == source else torch.empty(size, dtype=torch.uint8)
        self.given += size if self.rank == source else 0
        with _loss_told():
            dist.broadcast(content, source)
        found: T = self._unpacked(content)
        return found

    def _reduce(self, tensor: Tensor) -> None:
        self.given += tensor.nbytes
        with _loss_told():
            dist.all_reduce(tensor)

    def _unpacked(self, content: Tensor) -> Any:
        return torch.load(io.BytesIO(content.numpy().tobytes()), map_location=self.device, weights_only=True)


def _packed(value: Any) -> Tensor:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return torch.frombuffer(buffer.getbuffer(), dtype=torch.uint8)


@contextmanager
def _loss_told() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        place = re.compile(r"^\[[^]]*] ")  # in the library's source
        raise PeerLostError(place.sub("", str(error).partition("\n")[0]).partition(". ")[0]) from error
