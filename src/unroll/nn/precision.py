"""Matrix products in bfloat16 inside of what is otherwise float32: `torch.autocast`, and gradients written by hand.

Weights, sums, states, losses and all that is computed element by element stay in float32.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, Literal, TypeVar, cast

import torch
from torch import Tensor

Precision = Literal["float32", "bfloat16"]
B = TypeVar("B", bound=Callable[..., Any])


def precision_on(device: torch.device, stated: Literal["auto"] | Precision) -> Precision:
    """What `stated` comes to: `auto` is bfloat16 on a GPU that computes in it, else float32."""
    if stated != "auto":
        return stated
    has = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if has else "float32"


def products_in(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """A context in which matrices are multiplied in `precision`; for the way forward alone, the way back follows it."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def product_type(like: Tensor) -> torch.dtype:
    """What matrices such as `like` are multiplied in here and now."""
    if like.dtype == torch.float32 and _in_autocast(like.device.type):
        return torch.get_autocast_dtype(like.device.type)
    return like.dtype


def plus_product(sum_NK: Tensor, a_NM: Tensor, b_MK: Tensor) -> Tensor:
    """sum + a b, multiplied in the type of b and summed in that of the sum."""
    a_NM = a_NM.to(b_MK.dtype)
    if sum_NK.dtype == b_MK.dtype:
        return torch.addmm(sum_NK, a_NM, b_MK)
    return sum_NK + a_NM @ b_MK


def add_product(sum_NK: Tensor, a_NM: Tensor, b_MK: Tensor) -> Tensor:
    """`plus_product`, in place."""
    a_NM = a_NM.to(b_MK.dtype)
    return sum_NK.addmm_(a_NM, b_MK) if sum_NK.dtype == b_MK.dtype else sum_NK.add_(a_NM @ b_MK)


def product(a_NM: Tensor, b_MK: Tensor, dtype: torch.dtype) -> Tensor:
    """a b in the type of a, multiplied in `dtype`."""
    return (a_NM.to(dtype) @ b_MK.to(dtype)).to(a_NM.dtype)


def in_stated_types(backward: B) -> B:
    """Of a gradient written by hand: its products are in the types that it states, under autocast, too."""

    @wraps(backward)
    def stated(ctx: Any, *grads: Tensor) -> Any:
        device = grads[0].device.type
        with torch.autocast(device, enabled=False) if _in_autocast(device) else nullcontext():
            return backward(ctx, *grads)

    return cast(B, stated)


def _in_autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
