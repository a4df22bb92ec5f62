"""Memory that is not there, told by the batch that wanted it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from unroll.errors import UserError


@contextmanager
def want_told(run: str, step: int, batches: Sequence[Any]) -> Iterator[None]:
    """`UserError` in place of an error for want of memory in the update `step` of `batches`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _of_memory(error):
            raise
        shapes = ", ".join(dict.fromkeys(" × ".join(map(str, shape)) for batch in batches for shape in _shapes(batch)))
        raise UserError(
            f"runs.{run}.train: out of memory at step {step}, in a batch of {shapes or 'no tensors'}; less is needed "
            "with a smaller batch_size or batch_tokens (`accumulate` keeps the update as large), bptt or max_length"
        ) from error


def _of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _shapes(batch: Any) -> Iterator[tuple[int, ...]]:
    """The shapes of all tensors in a batch."""
    if isinstance(batch, Tensor):
        yield tuple(batch.shape)
        return
    if is_dataclass(batch):
        batch = [getattr(batch, field.name) for field in fields(batch)]
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    if isinstance(batch, tuple | list):
        for part in batch:
            yield from _shapes(part)
